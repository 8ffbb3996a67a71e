//! How far two shops are from each other.

/// Kilometres between two points on the ground (haversine).
pub(crate) fn distance_km(from: (f64, f64), to: (f64, f64)) -> f64 {
    const EARTH_RADIUS_KM: f64 = 6_371.0;
    let (lat1, lat2) = (from.0.to_radians(), to.0.to_radians());
    let (half_lat, half_lon) = ((lat2 - lat1) / 2.0, (to.1 - from.1).to_radians() / 2.0);
    let chord = half_lat.sin().powi(2) + lat1.cos() * lat2.cos() * half_lon.sin().powi(2);
    2.0 * EARTH_RADIUS_KM * chord.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moscow_is_as_far_from_saint_petersburg_as_maps_say() {
        let km = distance_km((55.7558, 37.6173), (59.9343, 30.3351));
        assert!((630.0..640.0).contains(&km), "{km}");
    }
}

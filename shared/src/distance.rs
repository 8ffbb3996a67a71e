//! How far two places on the ground are from each other.

/// The mean radius of the earth.
const EARTH_RADIUS_KM: f64 = 6_371.0;

/// Kilometres between two points, as the crow flies (haversine); each is degrees north and degrees east.
///
/// ```
/// use vitrina_shared::distance::distance_km;
///
/// let (moscow, petersburg) = ((55.7558, 37.6173), (59.9343, 30.3351));
/// assert!((distance_km(moscow, petersburg) - 634.0).abs() < 2.0);
/// ```
pub fn distance_km(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (lat1, lat2) = (from.0.to_radians(), to.0.to_radians());
    let (half_lat, half_lon) = ((lat2 - lat1) / 2.0, (to.1 - from.1).to_radians() / 2.0);
    let chord = half_lat.sin().powi(2) + lat1.cos() * lat2.cos() * half_lon.sin().powi(2);
    2.0 * EARTH_RADIUS_KM * chord.sqrt().min(1.0).asin()
}

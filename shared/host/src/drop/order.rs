//! In which order files are handed over.

use std::cmp::Ordering;

/// Compares names as people do: numbers by their value, letters without case. `import0_2` < `import0_10` < `offers0_1`
/// < `prices0_1` < `rests0_1`. Names that are alike so are ordered by their bytes, so that no two are equal.
pub fn natural_order(left: &str, right: &str) -> Ordering {
    let mut left_parts = Parts(left);
    let mut right_parts = Parts(right);
    loop {
        let order = match (left_parts.next(), right_parts.next()) {
            (None, None) => return left.cmp(right),
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(left), Some(right)) => left.cmp(&right),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    /// A number without its leading zeros: the shorter one is the smaller one.
    Number(usize, &'a str),
    Letter(char),
}

/// Cuts a name into numbers and letters.
struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let first = self.0.chars().next()?;
        if !first.is_ascii_digit() {
            self.0 = self.0.get(first.len_utf8()..).unwrap_or_default();
            return Some(Part::Letter(first.to_lowercase().next().unwrap_or(first)));
        }
        let end = self
            .0
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        let digits = digits.trim_start_matches('0');
        Some(Part::Number(digits.len(), digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packages_are_in_the_order_their_parts_need() {
        let mut names = [
            "rests0_1.xml",
            "import0_10.xml",
            "prices0_1.xml",
            "Import0_2.xml",
            "offers0_1.xml",
            "import0_1.xml",
        ];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            names,
            [
                "import0_1.xml",
                "Import0_2.xml",
                "import0_10.xml",
                "offers0_1.xml",
                "prices0_1.xml",
                "rests0_1.xml"
            ]
        );
    }

    proptest! {
        #[test]
        fn it_is_a_total_order(a in "[a-b0-2А]{0,4}", b in "[a-b0-2А]{0,4}", c in "[a-b0-2А]{0,4}") {
            prop_assert_eq!(natural_order(&a, &b), natural_order(&b, &a).reverse());
            prop_assert_eq!(natural_order(&a, &b) == Ordering::Equal, a == b);
            if natural_order(&a, &b).is_le() && natural_order(&b, &c).is_le() {
                prop_assert!(natural_order(&a, &c).is_le());
            }
        }
    }
}

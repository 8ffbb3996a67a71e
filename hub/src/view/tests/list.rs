//! Lists, and the snapshot as a table.

use super::*;

fn listed(view: &View, query: &StockQuery) -> Vec<(String, String)> {
    let (mut query, mut rows) = (
        StockQuery {
            limit: 2,
            ..query.clone()
        },
        Vec::new(),
    );
    loop {
        let page: Value = serde_json::from_slice(&view.list(&query).unwrap()).unwrap();
        for item in page["items"].as_array().unwrap() {
            rows.push((
                item["barcode"].as_str().unwrap().to_owned(),
                item["shop"].as_str().unwrap().to_owned(),
            ));
        }
        match page["next_cursor"].as_str() {
            Some(next) => query.after = Some(next.parse().unwrap()),
            None => return rows,
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of filters")]
fn lists_are_paged_without_gaps_by_any_filter() {
    let view = view(3);
    for (barcode, size) in [("A", "17,5"), ("B", "18")] {
        view.apply(
            &head(4),
            vec![Change::Item {
                barcode: barcode.parse().unwrap(),
                item: Some(ring("K", size)),
            }],
        );
    }
    commit(
        &view,
        (0..3)
            .flat_map(|shop| {
                [
                    level(shop, "A", 1, 10 + u64::from(shop)),
                    level(shop, "B", 0, 20 + u64::from(shop)),
                    level(shop, "C", 1, 30 + u64::from(shop)),
                ]
            })
            .collect(),
    );
    view.apply(
        &head(40),
        vec![Change::Shop(ShopRow {
            lat: None,
            pos: 40,
            ..shop(2, "S002")
        })],
    );
    let all = StockQuery::default();
    let of_article = StockQuery {
        article: Some("K".into()),
        ..all.clone()
    };
    let available = StockQuery {
        available: true,
        ..of_article.clone()
    };
    let of_city_and_size = StockQuery {
        city: Some(" МОСКВА".into()),
        size: Some("17.5".into()),
        ..all.clone()
    };
    let of_no_shop = StockQuery {
        city: Some("Тверь".into()),
        ..all.clone()
    };
    let counts = [
        &all,
        &of_article,
        &available,
        &of_city_and_size,
        &of_no_shop,
    ]
    .map(|query| listed(&view, query).len());
    assert_eq!(counts, [9, 6, 3, 3, 0]);
    let near = listed(
        &view,
        &StockQuery {
            near: Some((55.75, 38.7)),
            ..all.clone()
        },
    );
    assert_eq!(
        near.iter()
            .map(|(_, shop)| shop.as_str())
            .collect::<Vec<_>>(),
        ["S001", "S001", "S001", "S000", "S000", "S000"]
    );
    let close = listed(
        &view,
        &StockQuery {
            near: Some((55.75, 38.7)),
            radius_km: Some(20.0),
            ..all
        },
    );
    assert_eq!(close.len(), 3);
}

#[test]
fn a_csv_snapshot_opens_harmlessly_in_a_spreadsheet() {
    let view = Arc::new(view(1));
    view.apply(
        &head(4),
        vec![
            Change::Item {
                barcode: "=A1".parse().unwrap(),
                item: Some(ring("+K", "17")),
            },
            Change::Level(level(0, "=A1", -3, 4)),
        ],
    );

    let mut out = Vec::new();
    snapshot_to(&view, Format::Csv, &mut out).unwrap();

    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("kind,barcode,article,external_id,shop,"),
        "{text}"
    );
    assert!(text.contains("level,'=A1,'+K,,S000,,-3,0,"), "{text}");
}

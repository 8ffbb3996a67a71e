use super::super::list::Print;
use super::*;
use crate::os::FileId;

const SETTLE: Duration = Duration::from_secs(2);

/// A folder as a test tells of it, and the shelf that looks at it.
struct Scene {
    start: Instant,
    shelf: Shelf,
}

impl Scene {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            shelf: Shelf::new(SETTLE),
        }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn look(&mut self, ms: u64, items: &[Item]) -> Round {
        let now = self.at(ms);
        self.shelf.look(now, items.to_vec(), &HashSet::new())
    }

    fn names(&mut self, ms: u64, items: &[Item]) -> Vec<String> {
        names(&self.look(ms, items))
    }
}

fn names(round: &Round) -> Vec<String> {
    let name = |ready: &Ready| ready.item.name.to_string_lossy().into_owned();
    round.ready.iter().map(name).collect()
}

/// Something called `name`, `size` bytes long, written at second `second`.
fn item(name: &str, size: u64, second: u64) -> Item {
    let class = match name.rsplit_once('.') {
        Some((_, "done")) => Class::Marker,
        Some((_, "ok")) => Class::Heartbeat,
        Some((_, "dir")) => Class::Subfolder,
        Some((_, "link")) => Class::Refused("a link"),
        _ => Class::File,
    };
    Item {
        name: name.into(),
        class,
        print: Print {
            size_bytes: size,
            modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second)),
            id: FileId::from([1; 16]),
        },
    }
}

#[test]
fn a_file_is_whole_when_two_looks_far_enough_apart_show_the_same() {
    let mut scene = Scene::new();
    let file = [item("a.csv", 10, 1)];

    let first = scene.look(0, &file);
    assert_eq!(names(&first), Vec::<String>::new());
    assert_eq!(first.next, Some(scene.at(2_000)));
    assert!(scene.names(1_999, &file).is_empty());
    assert_eq!(scene.names(2_000, &file), ["a.csv"]);
}

#[test]
fn a_file_that_grows_or_is_touched_or_replaced_waits_again() {
    let mut scene = Scene::new();
    scene.look(0, &[item("a.csv", 10, 1)]);
    assert!(scene.names(2_000, &[item("a.csv", 20, 1)]).is_empty());
    assert!(scene.names(4_000, &[item("a.csv", 20, 2)]).is_empty());
    let mut replaced = item("a.csv", 20, 2);
    replaced.print.id = FileId::from([2; 16]);
    assert!(scene.names(6_000, &[replaced.clone()]).is_empty());

    assert_eq!(scene.names(8_000, &[replaced]), ["a.csv"]);
}

#[test]
fn one_late_look_is_not_enough() {
    let mut scene = Scene::new();
    let mut shelf = Shelf::new(Duration::ZERO);
    let now = scene.at(0);
    let round = shelf.look(now, vec![item("a.csv", 1, 1)], &HashSet::new());
    assert!(round.ready.is_empty());
    assert!(round.next.is_some_and(|next| next > now));
    assert!(scene.names(60_000, &[item("b.csv", 1, 1)]).is_empty());
}

#[test]
fn a_marker_makes_a_file_whole_but_not_one_of_an_earlier_file() {
    let mut scene = Scene::new();
    let marked = [item("a.xml", 10, 5), item("a.xml.done", 0, 5)];
    let stale = [item("b.xml", 10, 9), item("b.xml.done", 0, 5)];

    let round = scene.look(0, &marked);
    assert_eq!(names(&round), ["a.xml"]);
    assert!(round.ready.first().is_some_and(|ready| ready.is_marked));
    assert!(scene.names(10, &stale).is_empty());
    assert_eq!(scene.names(2_010, &stale), ["b.xml"]);
}

#[test]
fn a_marker_without_a_file_is_cleared_away_after_a_while() {
    let mut scene = Scene::new();
    let marker = [item("a.xml.done", 0, 1)];
    assert!(scene.names(0, &marker).is_empty());
    assert!(scene.names(599_999, &marker).is_empty());
    assert_eq!(scene.names(600_000, &marker), ["a.xml.done"]);
}

#[test]
fn a_file_renamed_into_place_is_whole_at_once() {
    let mut scene = Scene::new();
    let renamed = HashSet::from(["a.csv".into()]);
    let now = scene.at(0);
    let items = vec![item("a.csv", 1, 1), item("b.csv", 1, 1)];

    let round = scene.shelf.look(now, items, &renamed);

    assert_eq!(names(&round), ["a.csv"]);
}

#[test]
fn files_come_in_natural_order_and_heartbeats_last() {
    let mut scene = Scene::new();
    let items = [
        "shop.ok",
        "offers0_1.xml",
        "import0_10.xml",
        "import0_2.xml",
    ]
    .map(|name| item(name, 1, 1));
    scene.look(0, &items);
    assert_eq!(
        scene.names(2_000, &items),
        [
            "import0_2.xml",
            "import0_10.xml",
            "offers0_1.xml",
            "shop.ok"
        ]
    );
}

#[test]
fn a_heartbeat_waits_while_a_file_is_being_written_or_comes_again() {
    let mut scene = Scene::new();
    let beat = item("shop.ok", 0, 1);
    scene.look(0, std::slice::from_ref(&beat));
    let round = scene.look(2_000, &[beat.clone(), item("a.csv", 1, 1)]);
    assert!(names(&round).is_empty());
    assert_eq!(round.next, Some(scene.at(4_000)));

    let both = [beat, item("a.csv", 1, 1)];
    assert_eq!(scene.names(4_000, &both), ["a.csv", "shop.ok"]);
    let now = scene.at(4_000);
    scene.shelf.retry("a.csv".as_ref(), now, None);
    assert!(scene.names(4_001, &both).is_empty());
}

#[test]
fn a_file_put_off_comes_again_ever_later() {
    let mut scene = Scene::new();
    let file = [item("a.csv", 1, 1)];
    scene.look(0, &file);
    let mut now = 2_000;
    let mut pauses = Vec::new();

    for _ in 0..8 {
        assert_eq!(scene.names(now, &file), ["a.csv"]);
        let at = scene.at(now);
        scene.shelf.retry("a.csv".as_ref(), at, None);
        let next = scene.look(now, &file).next.unwrap();
        pauses.push((next - at).as_secs());
        now += pauses.last().unwrap() * 1_000;
    }

    assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn a_file_that_could_not_be_moved_keeps_its_verdict_until_it_changes() {
    let mut scene = Scene::new();
    let file = [item("a.csv", 1, 1)];
    scene.look(0, &file);
    scene.look(2_000, &file);
    let now = scene.at(2_000);
    assert!(
        scene
            .shelf
            .retry("a.csv".as_ref(), now, Some(Verdict::Done))
    );

    let again = scene.look(4_000, &file);
    assert_eq!(again.ready.first().unwrap().verdict, Some(Verdict::Done));
    let longer = [item("a.csv", 2, 2)];
    scene.look(5_000, &longer);
    let changed = scene.look(7_000, &longer);

    assert_eq!(changed.ready.first().unwrap().verdict, None);
}

#[test]
fn a_file_that_stays_is_not_handed_over_twice_but_its_next_version_is() {
    let mut scene = Scene::new();
    let file = [item("a.csv", 1, 1)];
    scene.look(0, &file);
    assert_eq!(scene.names(2_000, &file), ["a.csv"]);
    scene.shelf.finish("a.csv".as_ref());
    assert_eq!(scene.look(60_000, &file), Round::default());

    let next = [item("a.csv", 1, 2)];
    scene.look(61_000, &next);
    assert_eq!(scene.names(63_000, &next), ["a.csv"]);
}

#[test]
fn a_file_that_went_and_came_back_settles_anew() {
    let mut scene = Scene::new();
    let file = [item("a.csv", 1, 1)];
    scene.look(0, &file);
    scene.look(1_000, &[]);
    assert!(scene.names(3_000, &file).is_empty());
    assert_eq!(scene.names(5_000, &file), ["a.csv"]);
}

#[test]
fn a_subfolder_is_told_of_at_once_and_an_empty_folder_asks_for_nothing() {
    let mut scene = Scene::new();
    assert_eq!(scene.names(0, &[item("x.dir", 0, 0)]), ["x.dir"]);
    assert_eq!(scene.look(1, &[]), Round::default());
}

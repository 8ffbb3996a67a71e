use super::*;

const PATIENCE: Patience = Patience {
    head: Duration::from_secs(10),
    quiet: Duration::from_secs(75),
    write: Duration::from_secs(30),
};

/// How long a connection is waited for on which `each` happens between two looks; `None`: a day and more.
fn lasted(pulse: &Pulse, mut each: impl FnMut(&Pulse)) -> Option<Duration> {
    let mut watch = Watch::new(PATIENCE);
    let tick = watch.tick;
    (1..50_000_u32)
        .find(|_| {
            each(pulse);
            !watch.lasts(pulse)
        })
        .map(|looks| tick * looks)
}

fn answered() -> Pulse {
    let pulse = Pulse::default();
    pulse.came(b"GET / HTTP/1.1\r\n\r\n");
    pulse.begin();
    pulse.end();
    pulse
}

#[test]
fn a_small_answer_is_one_piece_and_a_large_one_stays_as_it_is() {
    let (head, body) = (io::IoSlice::new(b"head"), io::IoSlice::new(b"body"));
    let mut room = [0; 8];

    assert_eq!(gather(&[head, body], &mut room), Some(&b"headbody"[..]));
    assert_eq!(gather(&[head, body, head], &mut room), None);
    assert_eq!(gather(&[], &mut room), Some(&b""[..]));
}

#[test]
fn half_a_head_is_waited_for_ten_seconds_and_a_pooled_connection_for_more_than_a_minute() {
    let half = Pulse::default();
    half.came(b"GET / HT");

    assert_eq!(lasted(&half, |_| {}), Some(PATIENCE.head));
    assert!(lasted(&answered(), |_| {}).unwrap() > PATIENCE.quiet);
}

#[test]
fn who_comes_and_says_nothing_is_waited_for_as_for_a_head() {
    assert_eq!(lasted(&Pulse::default(), |_| {}), Some(PATIENCE.head));
}

#[test]
fn a_request_being_answered_has_its_own_limits_and_dripping_bytes_buy_no_time() {
    let busy = Pulse::default();
    busy.came(b"GET / HTTP/1.1\r\n\r\n");
    busy.begin();

    assert_eq!(lasted(&busy, |_| {}), None);
    let drip = |pulse: &Pulse| pulse.came(b"X");
    assert_eq!(lasted(&Pulse::default(), drip), Some(PATIENCE.head));
}

#[test]
fn an_answer_that_nobody_takes_is_not_waited_for_and_drops_buy_little() {
    let stuck = |bytes: usize| {
        move |pulse: &Pulse| {
            if bytes > 0 {
                pulse.went(&Poll::Ready(Ok(bytes)));
            }
            pulse.went(&Poll::Pending);
        }
    };

    assert_eq!(lasted(&answered(), stuck(0)), Some(PATIENCE.write));
    assert_eq!(lasted(&answered(), stuck(1_024)), Some(2 * PATIENCE.write));
    assert_eq!(lasted(&answered(), stuck(4_096)), None, "a modem");
}

#[test]
fn two_lengths_are_seen_once_and_belong_to_one_request() {
    let pulse = Pulse::default();
    pulse.came(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n");
    pulse.came(b"Transfer-Encoding: chunked\r\n\r\n");
    assert!(pulse.begin());
    pulse.end();

    pulse.came(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n");
    assert!(!pulse.begin());
}

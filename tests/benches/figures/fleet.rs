//! A hub and many shops that speak the exchange.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use vitrina_tests::Chain;

use crate::raw::ShopRows;
use crate::stats::Random;
use vitrina_tests::device::{Device, post};
use vitrina_tests::http::Http;

/// A stock of a shop: barcodes and units.
pub(crate) type Stock = Vec<(String, i64)>;

/// A hub and its shops' devices.
pub(crate) struct Fleet {
    /// The devices, by shop.
    pub(crate) devices: Vec<Device>,
    /// The hub.
    pub(crate) chain: Chain,
}

/// Openings made ready: frames for the line, rows for the limit.
pub(crate) struct Openings {
    /// One frame a shop.
    pub(crate) frames: Vec<Vec<u8>>,
    /// The same as rows.
    pub(crate) rows: Vec<ShopRows>,
}

/// How the pushing went.
pub(crate) struct Pushed {
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// Bytes of requests, heads and bodies.
    pub(crate) sent: u64,
    /// Bytes of answers.
    pub(crate) received: u64,
}

impl Fleet {
    /// Starts a hub, adds so many shops at once and enrols a device for each.
    pub(crate) fn start(shops: usize) -> Self {
        let chain = Chain::start();
        let mut http = Http::to(&chain.url);
        let mut random = vitrina_tests::sim::random::Random::new(11);
        let devices = chain
            .add_shops(shops)
            .iter()
            .map(|(shop, code)| Device::enrol(&mut http, shop, code, &mut random))
            .collect();
        Self { devices, chain }
    }

    /// Makes the openings of all shops ready; `with_rows` for the limit too.
    pub(crate) fn openings(&mut self, stocks: &[Stock], with_rows: bool) -> Openings {
        assert_eq!(stocks.len(), self.devices.len());
        let mut known = HashMap::new();
        let mut openings = Openings {
            frames: Vec::new(),
            rows: Vec::new(),
        };
        for (device, stock) in self.devices.iter_mut().zip(stocks) {
            let (frame, bodies) = device.opening(stock);
            openings.frames.push(frame);
            if with_rows {
                openings.rows.push(shop_rows(&mut known, stock, bodies));
            }
        }
        openings
    }

    /// Pushes a frame of each shop over so many connections and reads all answers.
    pub(crate) fn push(&mut self, frames: &[Vec<u8>], connections: usize) -> Pushed {
        let (pushed, answers) = self.carry(frames, connections);
        for (device, answer) in self.devices.iter_mut().zip(&answers) {
            device.heard(answer);
        }
        pushed
    }

    /// Lets every shop say that it is well, with the token of the hub's last answer.
    pub(crate) fn greet(&self, connections: usize) {
        let frames: Vec<Vec<u8>> = self.devices.iter().map(Device::heartbeat).collect();
        self.carry(&frames, connections);
    }

    /// Carries frames to the hub; the answers, in the order of the frames.
    fn carry(&self, frames: &[Vec<u8>], connections: usize) -> (Pushed, Vec<Vec<u8>>) {
        let next = AtomicUsize::new(0);
        let answers: Vec<Mutex<Vec<u8>>> = frames.iter().map(|_| Mutex::default()).collect();
        let lines: Vec<Http> = (0..connections)
            .map(|_| Http::to(&self.chain.url))
            .collect();
        let begun = Instant::now();
        let lines: Vec<Http> = std::thread::scope(|scope| {
            let carry = |mut http: Http| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(sealed) = frames.get(at) else {
                        return http;
                    };
                    *answers[at].lock().unwrap() = post(&mut http, "/v1/exchange", sealed);
                }
            };
            let threads: Vec<_> = lines
                .into_iter()
                .map(|http| scope.spawn(move || carry(http)))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let pushed = Pushed {
            took: begun.elapsed(),
            sent: lines.iter().map(|http| http.sent).sum(),
            received: lines.iter().map(|http| http.received).sum(),
        };
        let answers = answers
            .into_iter()
            .map(|answer| answer.into_inner().unwrap());
        (pushed, answers.collect())
    }

    /// How many commits of the hub gave out feed positions so far, read from its database.
    pub(crate) fn commits(&self) -> usize {
        let path = self.chain.data().join("hub.sqlite3");
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = rusqlite::Connection::open_with_flags(path, flags).unwrap();
        let count = "SELECT count(*) FROM feed_commit";
        let count: i64 = db.query_row(count, [], |row| row.get(0)).unwrap();
        usize::try_from(count).unwrap()
    }

    /// Lets every shop be heard from now and then, as shops are, until the guard is dropped: a shop that is silent for
    /// 90 s turns stale, and all its items change.
    pub(crate) fn keep_alive(self) -> (Chain, Alive) {
        let Self { devices, chain } = self;
        let url = chain.url.clone();
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let pause = Duration::from_secs(40) / u32::try_from(devices.len()).unwrap();
            let mut http = Http::to(&url);
            for device in devices.iter().cycle() {
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                post(&mut http, "/v1/exchange", &device.heartbeat());
                std::thread::sleep(pause);
            }
        });
        let alive = Alive {
            ended,
            thread: Some(thread),
        };
        (chain, alive)
    }
}

/// Ends the heartbeats when dropped.
pub(crate) struct Alive {
    ended: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Stocks of so many shops with so many barcodes each: `pool` different ones in all, each shop a random choice of them;
/// with `None` no two shops share one. One to five pieces of each.
pub(crate) fn stocks(shops: usize, barcodes: usize, pool: Option<usize>, seed: u64) -> Vec<Stock> {
    let mut random = Random::new(seed);
    let count = pool.unwrap_or(shops * barcodes);
    let mut codes = crate::stats::barcodes(&mut random, count);
    let mut stocks = Vec::with_capacity(shops);
    for shop in 0..shops {
        let from = if pool.is_some() {
            // The first of a shuffle that goes only so far.
            for place in 0..barcodes {
                let other = random.below((count - place) as u64) as usize + place;
                codes.swap(place, other);
            }
            0
        } else {
            shop * barcodes
        };
        let stock = codes[from..from + barcodes].iter();
        let mut units = || i64::try_from(1 + random.below(5)).unwrap();
        stocks.push(stock.map(|code| (code.clone(), units())).collect());
    }
    stocks
}

fn shop_rows(known: &mut HashMap<String, i64>, stock: &Stock, bodies: Vec<Vec<u8>>) -> ShopRows {
    let mut sorted = stock.clone();
    sorted.sort();
    let mut new_barcodes = Vec::new();
    let mut totals = Vec::new();
    for (barcode, units) in &sorted {
        let next = i64::try_from(known.len()).unwrap() + 1;
        let id = *known.entry(barcode.clone()).or_insert_with(|| {
            new_barcodes.push((next, barcode.clone()));
            next
        });
        totals.push((id, *units));
    }
    let movements = totals.iter().map(|(id, _)| *id).zip(bodies).collect();
    totals.sort_unstable();
    ShopRows {
        new_barcodes,
        movements,
        totals,
    }
}

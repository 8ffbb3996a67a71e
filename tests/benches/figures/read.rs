//! Figure 6: `GET /v1/stock/{barcode}` at random, 64 connections, against nginx serving files with the very same bodies.
//!
//! Items of one level: 20 shops, 40,000 barcodes. Items of 240 levels: 240 shops, all with the same 2,000 barcodes. A
//! catalogue gives each item article, name, size and price. The bodies are fetched from the hub and written to files;
//! wrk loads both with the same list of requests, in turns of 10 s, bearer key and all. The shops are heard from all the
//! while, as shops are. For the 304s each request carries the ETag that its own server gave for that path.

use std::fmt::Write as _;

use vitrina_tests::Chain;

use crate::Plan;
use crate::fleet::{Alive, Fleet, Stock, stocks};
use crate::nginx::Nginx;
use crate::site::Website;
use crate::stats::{Random, median};
use crate::table::{Row, Table, Verdict};
use crate::wrk::{Load, is_there};
use vitrina_tests::http::Http;

/// Runs the figure.
pub(crate) fn run(plan: Plan, table: &mut Table) {
    for (program, package) in [("nginx", "nginx-light"), ("wrk", "wrk")] {
        if !is_there(program) {
            table.skip("6", &format!("no {program} here (Debian: {package})"));
            return;
        }
    }
    let few = if plan.is_quick { 10 } else { 1 };
    let bed = Bed::new(&stocks(20, 2_000 / few, None, 6));
    bed.plain(plan, table, "6 GET, items of 1 level");
    bed.unchanged(plan, table, "6 304, items of 1 level");
    drop(bed);
    let one = stocks(1, 2_000 / few, None, 7).remove(0);
    let bed = Bed::new(&vec![one; 240]);
    bed.plain(plan, table, "6 GET, items of 240 levels");
    bed.unchanged(plan, table, "6 304, items of 240 levels");
}

/// A hub and an nginx that answer the same.
struct Bed {
    paths: Vec<String>,
    authorization: String,
    nginx: Nginx,
    _alive: Alive,
    chain: Chain,
}

impl Bed {
    fn new(stocks: &[Stock]) -> Self {
        let mut fleet = Fleet::start(stocks.len());
        import_catalogue(&fleet, stocks);
        let openings = fleet.openings(stocks, false);
        fleet.push(&openings.frames, 16);
        let (chain, alive) = fleet.keep_alive();
        let mut codes: Vec<&String> = stocks.iter().flatten().map(|(code, _)| code).collect();
        codes.sort();
        codes.dedup();
        let paths: Vec<String> = codes.iter().map(|c| format!("/v1/stock/{c}")).collect();
        let folder = chain.path("nginx");
        let www = folder.join("www");
        std::fs::create_dir_all(www.join("v1/stock")).unwrap();
        let mut website = Website::of(&chain);
        for path in &paths {
            let reply = website.get(path);
            assert_eq!(reply.status, 200, "{}", reply.text());
            std::fs::write(www.join(path.trim_start_matches('/')), reply.body).unwrap();
        }
        Self {
            paths,
            authorization: format!("Authorization: Bearer {}\r\n", chain.website),
            nginx: Nginx::start(&folder),
            _alive: alive,
            chain,
        }
    }

    fn plain(&self, plan: Plan, table: &mut Table, what: &str) {
        let requests: Vec<(String, String)> = self
            .paths
            .iter()
            .map(|path| (path.clone(), self.authorization.clone()))
            .collect();
        self.compare(plan, table, what, [&requests, &requests], 1.0);
    }

    fn unchanged(&self, plan: Plan, table: &mut Table, what: &str) {
        let requests = [&self.chain.url, &self.nginx.url].map(|url| {
            let mut http = Http::to(url);
            let with_tag = |path: &String| {
                let reply = http.call("GET", path, &self.authorization, b"");
                let tag = format!("If-None-Match: {}\r\n", reply.header("etag"));
                (path.clone(), format!("{}{tag}", self.authorization))
            };
            self.paths.iter().map(with_tag).collect::<Vec<_>>()
        });
        self.compare(plan, table, what, [&requests[0], &requests[1]], 0.8);
        // Were they 304s all along?
        for (url, requests) in [&self.chain.url, &self.nginx.url].iter().zip(&requests) {
            let mut http = Http::to(url);
            let mut random = Random::new(8);
            for _ in 0..200 {
                let (path, headers) = random.pick(requests);
                assert_eq!(http.call("GET", path, headers, b"").status, 304, "{url}");
            }
        }
    }

    fn compare(
        &self,
        plan: Plan,
        table: &mut Table,
        what: &str,
        requests: [&[(String, String)]; 2],
        least: f64,
    ) {
        let folder = self.chain.path("nginx");
        let hub = Load::new(&folder, "hub", &self.chain.url, requests[0]);
        let files = Load::new(&folder, "files", &self.nginx.url, requests[1]);
        let seconds = if plan.is_quick { 3 } else { 10 };
        let (mut ours, mut theirs, mut ratio) = (vec![], vec![], vec![]);
        // Both are warm before the first turn counts.
        hub.run(2);
        files.run(2);
        for _ in 0..plan.runs {
            let (hub, files) = (hub.run(seconds).rate, files.run(seconds).rate);
            ours.push(hub);
            theirs.push(files);
            ratio.push(hub / files);
        }
        let (ours, theirs, ratio) = (median(ours), median(theirs), median(ratio));
        table.add(Row {
            figure: what.into(),
            measured: format!("{ours:.0} req/s"),
            peer: format!("nginx {theirs:.0} req/s"),
            ratio: Some(ratio),
            target: format!("≥ {least:.1}"),
            verdict: Verdict::of(ratio >= least),
        });
    }
}

fn import_catalogue(fleet: &Fleet, stocks: &[Stock]) {
    let mut codes: Vec<&String> = stocks.iter().flatten().map(|(code, _)| code).collect();
    codes.sort();
    codes.dedup();
    let mut text = String::from("barcode;article;name;size;price\n");
    let mut random = Random::new(9);
    for (number, code) in codes.iter().enumerate() {
        let (size, price) = (15 + random.below(8), 5_000 + random.below(950) * 100);
        writeln!(text, "{code};K-{};Кольцо;{size};{price}", number / 4).unwrap();
    }
    let path = fleet.chain.path("catalogue.csv");
    std::fs::write(&path, text).unwrap();
    fleet
        .chain
        .cli(&["import", &path.display().to_string()])
        .ok();
}

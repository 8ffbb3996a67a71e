//! `vitrina-hub demo`: a small chain of real processes on this machine, that sells, breaks, heals and proves itself.
//!
//! It speaks to hub and agents from outside only, as shops, tills, a website and an admin do.

mod book;
mod day;
mod error;
mod figures;
mod goods;
mod hub;
mod line;
mod orders;
mod process;
mod proof;
mod random;
mod report;
mod screen;
mod shop;
mod till;
mod website;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vitrina_host::output::{Exit, Out};
use vitrina_host::{clock, os, say};

use day::Day;
use error::DemoError;
use hub::DemoHub;
use orders::Orders;
use process::Programs;
use proof::until;
use screen::Screen;
use shop::Shop;
use till::Staff;
use website::Website;

/// More agents than this are a fleet, not a demo.
const MAX_SHOPS: u64 = 200;
/// How often the table is drawn.
const DRAW: Duration = Duration::from_secs(1);

/// What a demo can be told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// How many shops, each with its own agent
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=MAX_SHOPS))]
    shops: u64,
    /// Ends by itself after so many seconds of selling; else with Ctrl-C
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Plays one scene instead of the usual day
    #[arg(long, value_name = "NAME")]
    scene: Option<Scene>,
}

/// What is played beside the usual day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Scene {
    /// An hour of web orders in a minute
    BlackFriday,
}

impl Scene {
    /// How long it takes where nobody says.
    const LENGTH: Duration = Duration::from_mins(1);
}

/// Of so many shops one has its cashier look for each piece; the others answer by themselves.
const SCANS_ONE_IN: usize = 4;

/// Everything that runs.
#[derive(Debug)]
struct Stage {
    programs: Programs,
    hub: DemoHub,
    shops: Vec<Arc<Shop>>,
    website: Arc<Website>,
    office: Arc<Website>,
    follow: CancellationToken,
}

/// Runs the demo.
pub(crate) async fn run(args: &DemoArgs, out: &mut Out) -> Exit {
    let lang = out.lang();
    let folder = std::env::temp_dir().join(format!(
        "vitrina-demo-{}-{}",
        std::process::id(),
        clock::now_ms()
    ));
    let played = tokio::select! {
        played = play(args, &folder, out) => played,
        () = interrupted_twice() => Err(DemoError::Interrupted),
    };
    match played {
        Ok(()) => {
            match std::fs::remove_dir_all(&folder).map_err(DemoError::file("remove", &folder)) {
                Ok(()) => Exit::Done,
                Err(error) => {
                    out.error(&error);
                    Exit::Failed
                }
            }
        }
        Err(error) => {
            out.error(&error);
            let kept = folder.display();
            out.note(say!(
                lang,
                "logs and data are kept in {kept}",
                "журналы и данные остались в {kept}"
            ));
            Exit::Failed
        }
    }
}

/// Who presses Ctrl-C again does not want to wait for the proof.
async fn interrupted_twice() {
    interrupted().await;
    interrupted().await;
}

/// Ends when somebody presses Ctrl-C; never where that cannot be heard.
async fn interrupted() {
    match os::stop_signal() {
        Ok(signal) => signal.await,
        Err(_) => std::future::pending().await,
    }
}

async fn play(args: &DemoArgs, folder: &Path, out: &mut Out) -> Result<(), DemoError> {
    let begun = Instant::now();
    let stage = Stage::set(args, folder, out).await?;
    stage.open().await?;
    report::opened(out, &stage.shops, &stage.website, begun.elapsed())?;
    let of_scene = args.scene.map(|_| Scene::LENGTH);
    let length = args.seconds.map(Duration::from_secs).or(of_scene);
    let orders = stage.trade(length, args.scene, out).await?;
    stage.website.figures(|figures| {
        figures.caught_up = stage.cut_shop().line.back().and_then(|(mended, dialled)| {
            let seen = figures.offline_seen?;
            Some((
                dialled.saturating_duration_since(mended),
                seen.saturating_duration_since(dialled),
            ))
        });
    });
    let compared =
        proof::compare(&stage.shops, &stage.office, &stage.website, &stage.programs).await?;
    compared.ok()?;
    proof::verify(&stage.shops, &stage.hub.data, &stage.programs).await?;
    report::proved(out, &stage.shops, &stage.website, &compared)?;
    if let Some(orders) = orders {
        let tally = orders.tally(&stage.office).await?;
        report::orders(out, &tally)?;
        tally.ok()?;
    }
    stage.strike().await
}

impl Stage {
    /// Starts the hub and every agent.
    async fn set(args: &DemoArgs, folder: &Path, out: &mut Out) -> Result<Self, DemoError> {
        let count = usize::try_from(args.shops).unwrap_or(usize::MAX);
        os::create_private_dir(folder)?;
        report::begins(out, count, folder)?;
        let goods = goods::chain(count, clock::now_ms())?;
        let binary = std::env::current_exe().map_err(DemoError::start("find this program"))?;
        let binaries = binary.parent().map(PathBuf::from).unwrap_or_default();
        let programs = Programs {
            binaries,
            logs: folder.to_owned(),
        };
        // No system proxy: everything here is on this machine.
        let http = Client::builder().no_proxy().build();
        let http = http.map_err(|source| DemoError::Call {
            call: "nobody".to_owned(),
            source,
        })?;
        let hub = DemoHub::start(&programs).await?;
        let codes = hub.add(&goods, &programs).await?;
        hub.import(&programs).await?;
        if args.scene.is_some() {
            hub.share_out(&programs).await?;
            for (at, place) in goods.places.iter().enumerate() {
                if at % SCANS_ONE_IN > 0 {
                    hub.answers_alone(&place.id, &programs).await?;
                }
            }
        }
        let mut starting = JoinSet::new();
        for (at, place) in goods.places.into_iter().enumerate() {
            let code = codes.get(&place.id).cloned();
            let code = code.ok_or_else(|| {
                DemoError::answer("shop add --from", &format!("no code for {}", place.id))
            })?;
            let (url, programs, http) = (hub.server.url.clone(), programs.clone(), http.clone());
            starting
                .spawn(async move { (at, Shop::start(place, &code, &url, &programs, http).await) });
        }
        let mut shops = Vec::new();
        while let Some(started) = starting.join_next().await {
            let (at, shop) =
                started.map_err(|error| DemoError::start("start an agent")(error.into()))?;
            shops.push((at, Arc::new(shop?)));
        }
        shops.sort_by_key(|(at, _)| *at);
        let shops: Vec<Arc<Shop>> = shops.into_iter().map(|(_, shop)| shop).collect();
        let client = |key: &str| Arc::new(Website::new(&hub.server.url, key, http.clone(), &shops));
        let (website, office) = (client(&hub.website), client(&hub.office));
        let follow = CancellationToken::new();
        tokio::spawn(Arc::clone(&website).follow(follow.clone()));
        Ok(Self {
            programs,
            hub,
            shops,
            website,
            office,
            follow,
        })
    }

    /// Opens every shop from its balances file and waits until the website shows it.
    async fn open(&self) -> Result<(), DemoError> {
        for shop in &self.shops {
            if shop.place.needs_catalogue {
                catalogue_came(shop).await?;
            }
            let (name, content) = &shop.place.opening;
            shop.drop_file(name, content)?;
        }
        proof::arrive(&self.shops, &self.website).await
    }

    /// The shop that loses its line: the third, where there are so many.
    fn cut_shop(&self) -> &Arc<Shop> {
        let fallback = self.shops.last();
        self.shops.get(2).or(fallback).expect("at least one shop")
    }

    /// The shop whose 1C falls silent: the one that says how often it comes.
    fn silent_shop(&self) -> &Arc<Shop> {
        let balances = self.shops.iter().find(|shop| shop.place.is_balances);
        balances.unwrap_or_else(|| self.cut_shop())
    }

    /// Sells until the time is over or a person says so, then lets everything arrive.
    async fn trade(
        &self,
        length: Option<Duration>,
        scene: Option<Scene>,
        out: &mut Out,
    ) -> Result<Option<Arc<Orders>>, DemoError> {
        let stop = CancellationToken::new();
        let orders = scene
            .map(|Scene::BlackFriday| Arc::new(Orders::new(&self.website, &self.shops, &stop)));
        let is_silent = Arc::new(AtomicBool::new(false));
        let mut work = JoinSet::new();
        for (seed, shop) in (1_u64..).zip(&self.shops) {
            let writes_at_once = Arc::ptr_eq(shop, self.silent_shop());
            let staff = Arc::new(Staff {
                shop: Arc::clone(shop),
                website: Arc::clone(&self.website),
                stop: stop.clone(),
                is_silent: if writes_at_once {
                    Arc::clone(&is_silent)
                } else {
                    Arc::default()
                },
                seed,
            });
            if !shop.place.is_balances {
                work.spawn(Arc::clone(&staff).sell());
            }
            work.spawn(staff.write());
        }
        let mut cashiers = JoinSet::new();
        if let Some(orders) = &orders {
            for seed in 1..=orders::CUSTOMERS {
                work.spawn(Arc::clone(orders).order(seed));
            }
            for (seed, shop) in (1..).zip(&self.shops) {
                cashiers.spawn(Arc::clone(orders).answer(Arc::clone(shop), seed));
            }
        }
        let day = Day {
            website: Arc::clone(&self.website),
            cut: Arc::clone(self.cut_shop()),
            silent: Arc::clone(self.silent_shop()),
            is_silent,
            stop: stop.clone(),
        };
        let day = tokio::spawn(day.play(length));
        let traded = self.watch(length, &mut work, out).await;
        report::compares(out)?;
        stop.cancel();
        let _ = day.await;
        traded?;
        while let Some(ended) = work.join_next().await {
            ended.map_err(|error| DemoError::start("trade")(error.into()))??;
        }
        proof::arrive(&self.shops, &self.website).await?;
        if let Some(orders) = &orders {
            orders.settle().await?;
        }
        while let Some(ended) = cashiers.join_next().await {
            ended.map_err(|error| DemoError::start("answer")(error.into()))??;
        }
        Ok(orders)
    }

    /// Shows the table until it is time; a till that fails ends it.
    async fn watch(
        &self,
        length: Option<Duration>,
        work: &mut JoinSet<Result<(), DemoError>>,
        out: &mut Out,
    ) -> Result<(), DemoError> {
        let mut screen = Screen::new();
        let over = async {
            match length {
                Some(length) => tokio::time::sleep(length).await,
                None => std::future::pending().await,
            }
        };
        let interrupted = interrupted();
        tokio::pin!(over, interrupted);
        let mut draw = tokio::time::interval(DRAW);
        loop {
            tokio::select! {
                () = &mut over => return Ok(()),
                () = &mut interrupted => return Ok(()),
                Some(ended) = work.join_next() => {
                    ended.map_err(|error| DemoError::start("trade")(error.into()))??;
                }
                _ = draw.tick() => screen.show(out, &self.shops, &self.office, &self.website).await?,
            }
        }
    }

    /// Stops every process as an admin does: the agents first, so that they say goodbye.
    async fn strike(self) -> Result<(), DemoError> {
        self.follow.cancel();
        for shop in &self.shops {
            shop.stop().await?;
        }
        self.hub.server.stop("the hub").await
    }
}

/// Waits until the agent knows every piece of the shop's opening from the hub's catalogue.
async fn catalogue_came(shop: &Shop) -> Result<(), DemoError> {
    for piece in shop.place.stock.keys() {
        until(
            &format!("the catalogue's {piece} is at {}", shop.id()),
            async || {
                let (status, body) = shop
                    .call(Method::GET, &format!("/v1/stock/{piece}"), None)
                    .await?;
                let is_known = status == StatusCode::OK
                    && body
                        .get("article")
                        .is_some_and(|article| !article.is_null());
                Ok((!is_known).then(|| format!("{status} {body}")))
            },
        )
        .await?;
    }
    Ok(())
}

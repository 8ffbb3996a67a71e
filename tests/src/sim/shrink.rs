//! Makes a failing run smaller: fewer shops, fewer steps, fewer faults, as long as the same promise breaks.

use super::config::Config;
use super::run::run;

/// The smallest configuration found under which `seed` breaks the same promise.
pub fn shrink(seed: u64, config: &Config, violation: &str) -> Config {
    let promise = |text: &str| text.split_whitespace().next().map(str::to_owned);
    let wanted = promise(violation);
    let fails = |config: &Config| {
        let violation = run(seed, config).violation;
        violation.is_some_and(|violation| promise(&violation) == wanted)
    };
    let mut best = config.clone();
    loop {
        let smaller = candidates(&best).into_iter().find(|config| fails(config));
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

/// What is a little smaller, the greatest step first.
fn candidates(config: &Config) -> Vec<Config> {
    let mut smaller = Vec::new();
    for shops in [1, config.shops / 2, config.shops.saturating_sub(1)] {
        if (1..config.shops).contains(&shops) {
            smaller.push(Config {
                shops,
                ..config.clone()
            });
        }
    }
    for steps in [
        config.steps / 2,
        config.steps * 9 / 10,
        config.steps.saturating_sub(1),
    ] {
        if (1..config.steps).contains(&steps) {
            smaller.push(Config {
                steps,
                ..config.clone()
            });
        }
    }
    for fault in config.rates.keys() {
        let mut without = config.clone();
        without.rates.remove(fault);
        smaller.push(without);
    }
    smaller
}

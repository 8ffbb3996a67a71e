//! What happens on the day.

use vitrina_agent::rig::Failed;
use vitrina_hub::rig::Rig as Hub;

use super::{Day, Side, Step};
use crate::vfs;

const SHOP: &str = "S017";

fn sell(day: &mut Day, key: &str, barcode: &str) -> Result<(), Failed> {
    let body = format!(r#"{{"type":"sale","barcode":"{barcode}","qty":1,"price":"45900.00"}}"#);
    let (status, _) = day.agent()?.movement(&body, Some(key))?;
    expect(status == 201, "a sale is booked")?;
    day.agent()?.keep_high_water()?;
    day.told(Side::Agent)
}

fn expect(is_so: bool, what: &'static str) -> Result<(), Failed> {
    if is_so { Ok(()) } else { Err(what.into()) }
}

fn begins_the_hub(day: &mut Day) -> Result<(), Failed> {
    day.hub().map(drop)
}

fn begins_the_agent(day: &mut Day) -> Result<(), Failed> {
    day.agent().map(drop)
}

fn adds_the_shop(day: &mut Day) -> Result<(), Failed> {
    let shop = format!(r#"{{"shop":"{SHOP}","name":"Tverskaya 12"}}"#);
    match day.hub()?.add_shop(&shop) {
        Err(error) if error.to_string().contains("already") => Ok(()),
        done => done.map(drop),
    }
}

fn enrols(day: &mut Day) -> Result<(), Failed> {
    let code = day.hub()?.recode_shop(SHOP)?;
    let frame = day.agent()?.ask_to_enrol(&code)?;
    let answer = day.hub()?.enrol(frame)?;
    day.agent()?.enrol(&code, &answer)
}

fn exchanges(day: &mut Day) -> Result<(), Failed> {
    day.exchange()
}

fn opens_the_books(day: &mut Day) -> Result<(), Failed> {
    let file = "barcode;qty;article;name;price;at\n\
        2000018987155;30;K-1234;Ring;45900,00;2026-11-01 09:00:00\n\
        2000018987162;20;K-1235;Chain;12000,00;2026-11-01 09:00:00\n\
        2000018987179;10;K-1236;Cross;8000,00;2026-11-01 09:00:00\n";
    let taken = day.agent()?.import("balances.csv", file)?;
    expect(taken.is_some(), "the opening is taken")?;
    day.agent()?.keep_high_water()?;
    Ok(())
}

fn sells_at_a_till(day: &mut Day) -> Result<(), Failed> {
    sell(day, "till-1-0001", "2000018987155")?;
    sell(day, "till-1-0002", "2000018987162")?;
    sell(day, "till-1-0003", "2000018987155")
}

fn takes_a_receipt(day: &mut Day) -> Result<(), Failed> {
    let body = r#"{"till":"2","receipt":"77","at":"2026-11-02T10:00:00+03:00","lines":[
        {"line":1,"type":"sale","barcode":"2000018987155","qty":1},
        {"line":2,"type":"sale","barcode":"2000018987162","qty":2},
        {"line":3,"type":"sale","barcode":"2000018987179","qty":1}]}"#;
    let (status, _) = day.agent()?.receipt(body, Some("receipt-77"))?;
    expect(status == 201, "a receipt is booked")?;
    day.agent()?.keep_high_water()?;
    Ok(())
}

fn takes_a_pos_file(day: &mut Day) -> Result<(), Failed> {
    let file = "type;till;receipt;line;barcode;qty;price;at\n\
        sale;1;1001;1;2000018987155;1;45900,00;2026-11-02 10:00:00\n\
        sale;1;1002;1;2000018987162;1;12000,00;2026-11-02 10:05:00\n\
        receipt;1;1003;1;2000018987179;5;;2026-11-02 10:10:00\n\
        return;1;1004;1;2000018987155;1;45900,00;2026-11-02 10:15:00\n\
        sale;1;1005;1;;1;45900,00;2026-11-02 10:20:00\n\
        sale;1;1006;1;2000018987155;0,5;45900,00;2026-11-02 10:25:00\n\
        sale;1;1007;1;2000018987162;1;12000,00;2026-10-20 10:25:00\n";
    let taken = day.agent()?.import("pos.csv", file)?;
    expect(taken.is_some(), "the file is taken")?;
    day.agent()?.keep_high_water()?;
    Ok(())
}

fn cancels(day: &mut Day) -> Result<(), Failed> {
    let body = r#"{"type":"cancel","till":"1","receipt":"1002","line":1,"at":"2026-11-02T10:05:00+03:00"}"#;
    let (status, _) = day.agent()?.movement(body, None)?;
    expect(status == 201, "a line is cancelled")?;
    day.agent()?.keep_high_water()?;
    Ok(())
}

fn verifies_the_books(day: &mut Day) -> Result<(), Failed> {
    let file = "barcode;qty;at\n\
        2000018987155;25;2026-11-03 09:00:00\n\
        2000018987162;17;2026-11-03 09:00:00\n\
        2000018987179;13;2026-11-03 09:00:00\n";
    let taken = day.agent()?.import("verify.csv", file)?;
    expect(taken.is_some(), "the file is taken")
}

fn decides_about_disagreements(day: &mut Day) -> Result<(), Failed> {
    let agent = day.agent()?;
    agent.adopt("2000018987155")?;
    agent.dismiss("2000018987179")?;
    agent.keep_high_water()?;
    Ok(())
}

fn takes_what_was_set_aside(day: &mut Day) -> Result<(), Failed> {
    let agent = day.agent()?;
    for id in agent.quarantine()? {
        if !agent.retry(&id)? {
            agent.drop_entry(&id)?;
        }
    }
    agent.keep_high_water()?;
    Ok(())
}

fn head_office_speaks(day: &mut Day) -> Result<(), Failed> {
    let catalogue = "barcode;article;name;price\n\
        2000018987155;K-1234;Ring with a stone;47900,00\n\
        2000018987162;K-1235;Chain;12900,00\n\
        2000018987186;K-1237;Brooch;9900,00\n";
    let path = day.work.path().join("catalogue.csv");
    std::fs::write(&path, catalogue)?;
    day.hub()?
        .set_shop(SHOP, r#"{"city":"Moscow","hours":"Mo-Su 10:00-22:00"}"#)?;
    match day.hub()?.add_key("site") {
        Err(error) if error.to_string().contains("site") => {}
        done => done?,
    }
    day.hub()?.import(&path)?;
    Ok(())
}

fn head_office_decides(day: &mut Day) -> Result<(), Failed> {
    // What could not be done the first time comes again after a minute, or when somebody decides again.
    for _ in 0..2 {
        day.hub()?.retry_all()?;
        day.exchange()?;
    }
    day.exchange()
}

fn copies_both(day: &mut Day) -> Result<(), Failed> {
    let (agent, hub) = (
        day.work.path().join("agent.copy"),
        day.work.path().join("hub.copy"),
    );
    day.agent()?.backup(&agent)?;
    day.hub()?.backup(&hub)
}

fn sells_and_exchanges(day: &mut Day) -> Result<(), Failed> {
    sell(day, "till-1-0011", "2000018987155")?;
    day.exchange()
}

fn sells_something_else(day: &mut Day) -> Result<(), Failed> {
    sell(day, "till-1-0012", "2000018987162")?;
    day.exchange()
}

fn sells_once_more(day: &mut Day) -> Result<(), Failed> {
    sell(day, "till-1-0021", "2000018987155")?;
    day.exchange()
}

/// The hub was put back by command: a new life begins, and the shop fills it.
fn begins_a_life(day: &mut Day) -> Result<(), Failed> {
    if day.hub.is_none() {
        day.hub = Some(Hub::restored(day.hub_place.folder(), Some(vfs::VFS))?);
        day.told(Side::Hub)?;
    }
    day.exchange()
}

fn stops(day: &mut Day) -> Result<(), Failed> {
    day.stop();
    day.agent()?;
    day.hub()?;
    Ok(())
}

/// The whole day.
pub const STEPS: &[Step] = &[
    Step {
        name: "the hub begins",
        put_back: None,
        run: begins_the_hub,
    },
    Step {
        name: "the agent begins",
        put_back: None,
        run: begins_the_agent,
    },
    Step {
        name: "a shop is added",
        put_back: None,
        run: adds_the_shop,
    },
    Step {
        name: "the agent is enrolled",
        put_back: None,
        run: enrols,
    },
    Step {
        name: "the first exchange",
        put_back: None,
        run: exchanges,
    },
    Step {
        name: "the opening",
        put_back: None,
        run: opens_the_books,
    },
    Step {
        name: "a till sells",
        put_back: None,
        run: sells_at_a_till,
    },
    Step {
        name: "a receipt of lines",
        put_back: None,
        run: takes_a_receipt,
    },
    Step {
        name: "an exchange with sales",
        put_back: None,
        run: exchanges,
    },
    Step {
        name: "a file of the POS",
        put_back: None,
        run: takes_a_pos_file,
    },
    Step {
        name: "a cancelled line",
        put_back: None,
        run: cancels,
    },
    Step {
        name: "a balances file that verifies",
        put_back: None,
        run: verifies_the_books,
    },
    Step {
        name: "an exchange with words",
        put_back: None,
        run: exchanges,
    },
    Step {
        name: "head office speaks",
        put_back: None,
        run: head_office_speaks,
    },
    Step {
        name: "an exchange with registers",
        put_back: None,
        run: exchanges,
    },
    Step {
        name: "disagreements decided",
        put_back: None,
        run: decides_about_disagreements,
    },
    Step {
        name: "head office decides",
        put_back: None,
        run: head_office_decides,
    },
    Step {
        name: "what was set aside, again",
        put_back: None,
        run: takes_what_was_set_aside,
    },
    Step {
        name: "copies are made",
        put_back: None,
        run: copies_both,
    },
    Step {
        name: "a clean stop",
        put_back: None,
        run: stops,
    },
    Step {
        name: "what a restored machine will not know",
        put_back: None,
        run: sells_and_exchanges,
    },
    Step {
        name: "a fork",
        put_back: Some(Side::Agent),
        run: sells_something_else,
    },
    Step {
        name: "what a restored hub will not know",
        put_back: None,
        run: sells_once_more,
    },
    Step {
        name: "a new life of the hub",
        put_back: Some(Side::Hub),
        run: begins_a_life,
    },
];

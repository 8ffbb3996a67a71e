//! What the demo says before and after.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vitrina_host::output::{Lang, Out, OutError};
use vitrina_host::say;

use super::figures::{ms, percentile};
use super::orders::Tally;
use super::proof::Compared;
use super::shop::Shop;
use super::website::Website;

/// What is about to be started.
pub(super) fn begins(out: &mut Out, shops: usize, folder: &Path) -> Result<(), OutError> {
    let folder = folder.display();
    let text = say!(
        out.lang(),
        "A hub and {shops} agents, real processes on free ports, in {folder}",
        "Хаб и агентов: {shops}; настоящие процессы на свободных портах, в {folder}"
    );
    said(out, &text)
}

/// The selling is over, and the proof takes some seconds.
pub(super) fn compares(out: &mut Out) -> Result<(), OutError> {
    let text = say!(
        out.lang(),
        "\nThe selling is over; hub, agents and website are compared piece by piece (Ctrl-C again ends without it)",
        "\nПродажи окончены; хаб, агенты и сайт сверяются по каждой позиции (ещё раз Ctrl-C — без сверки)"
    );
    said(out, &text)
}

/// Every shop is open.
pub(super) fn opened(
    out: &mut Out,
    shops: &[Arc<Shop>],
    website: &Website,
    took: Duration,
) -> Result<(), OutError> {
    let pieces: usize = shops.iter().map(|shop| shop.book().stock().len()).sum();
    let units: i64 = shops.iter().map(|shop| shop.book().units()).sum();
    website.figures(|figures| figures.opened = units);
    let (count, took) = (shops.len(), ms(Some(took)));
    let text = say!(
        out.lang(),
        "{count} shops opened from their balances files: {units} units of {pieces} pieces on the website, {took} after the start",
        "Магазинов открыто по файлам остатков: {count}; на сайте {units} шт. ({pieces} позиций), через {took} после старта"
    );
    said(out, &text)
}

/// What was measured and proved.
pub(super) fn proved(
    out: &mut Out,
    shops: &[Arc<Shop>],
    website: &Website,
    compared: &Compared,
) -> Result<(), OutError> {
    let lang = out.lang();
    let count = shops.len();
    let Compared {
        pieces,
        units,
        differences,
    } = compared;
    let found = differences.len();
    let under_way: usize = shops.iter().map(|shop| shop.book().under_way()).sum();
    let lines = website.figures(|figures| {
        let (opened, sales, returns) = (figures.opened, figures.sales, figures.returns);
        let files = figures.files;
        let (sold, brought) = (figures.sold_by_files, figures.brought_by_files);
        let times = |of: &[Duration]| {
            format!("p50 {}, p99 {}", ms(percentile(of, 50)), ms(percentile(of, 99)))
        };
        let (sale, file) = (times(&figures.sale), times(&figures.file));
        let mut said = vec![
            say!(
                lang,
                "{opened} opened − {sales} sold and + {returns} returned at the tills − {sold} sold and + {brought} brought by {files} files = {units} units",
                "открыто {opened} − продано на кассах {sales} + возвращено {returns} − продано файлами {sold} + поступило файлами {brought} (файлов {files}) = {units} шт."
            ),
            say!(lang, "sale answered → on the website: {sale}", "продажа подтверждена → на сайте: {sale}"),
            say!(lang, "file dropped → on the website: {file}", "файл положен → на сайте: {file}"),
        ];
        let offline = figures.offline;
        if let Some((dialled, seen)) = figures.caught_up.filter(|_| offline > 0) {
            let (dialled, seen) = (ms(Some(dialled)), ms(Some(seen)));
            said.push(say!(
                lang,
                "offline sales: {offline}; the agent dialled {dialled} after its line was back, and {seen} later the website had them all",
                "продаж без связи: {offline}; агент позвонил через {dialled} после возврата связи, ещё через {seen} сайт знал их все"
            ));
        }
        if let Some(stale) = figures.stale_after {
            let stale = ms(Some(stale));
            said.push(say!(
                lang,
                "a 1C fell silent: the website was told {stale} later that the shop is stale",
                "1С замолчала: через {stale} сайт узнал, что данные магазина устарели"
            ));
        }
        said
    });
    out.line("")?;
    for line in lines {
        out.sentences(line)?;
    }
    out.sentences(say!(
        lang,
        "compared {pieces} pieces ({units} units) of {count} shops: the demo's own books, agents, hub and the website's copy: {found} differences; {under_way} changes under way",
        "сверено позиций: {pieces} ({units} шт.), магазинов: {count}: учёт демонстрации, агенты, хаб и копия сайта; расхождений: {found}; в пути: {under_way}"
    ))?;
    let text = say!(
        lang,
        "verify: the books of the hub and of {count} agents balance",
        "verify: учёт хаба и агентов ({count}) сходится"
    );
    said(out, &text)
}

/// What came of the web orders.
pub(super) fn orders(out: &mut Out, tally: &Tally) -> Result<(), OutError> {
    let lang = out.lang();
    let Tally {
        asked,
        refused,
        confirmed,
        declined,
        resourced,
        bought,
        states,
        twice,
        work,
    } = tally;
    let (taken, twice) = (asked - refused, twice.len());
    let states: Vec<String> = states
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let states = states.join(", ");
    out.line("")?;
    out.sentences(say!(
        lang,
        "{asked} orders: {taken} taken, {refused} refused with no piece left",
        "заказов: {asked}; принято {taken}, отказано без остатка {refused}"
    ))?;
    out.sentences(say!(
        lang,
        "a shop said yes to {confirmed}, no to {declined}; {resourced} went on to another shop; {bought} bought at the till",
        "магазины согласились: {confirmed}, отказались: {declined}; переданы в другой магазин: {resourced}; выкуплены: {bought}"
    ))?;
    out.sentences(say!(
        lang,
        "how they stand: {states}",
        "как обстоят дела: {states}"
    ))?;
    out.sentences(say!(
        lang,
        "pieces promised twice: {twice}",
        "обещано дважды: {twice}"
    ))?;
    let work = work
        .iter()
        .map(|((kind, owner), count)| [kind.clone(), owner.clone(), count.to_string()]);
    let heads = if lang == Lang::Ru {
        ["задача", "кому", "сколько"]
    } else {
        ["work item", "to whom", "how many"]
    };
    out.table(&heads, work)
}

fn said(out: &mut Out, text: &str) -> Result<(), OutError> {
    use std::io::Write as _;
    out.sentences(text)?;
    Ok(out.flush()?)
}

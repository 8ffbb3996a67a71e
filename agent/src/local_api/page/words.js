// The words of the page, English and Russian. The setting says which; the switch of the page remembers another.

const WORDS = {
  switch: ['По-русски', 'In English'],
  // The lamp.
  connecting: ['Looking…', 'Проверяю…'],
  well: ['All is well', 'Всё в порядке'],
  gone: ['The program does not answer', 'Программа не отвечает'],
  gone_do: ['Your scans are kept. If this lasts longer than a minute, call your administrator.',
    'Сканы сохраняются. Если не пройдёт за минуту, позвоните администратору.'],
  offline: ['No line to head office', 'Нет связи с офисом'],
  offline_do: ['Sell as usual: everything is kept here and goes by itself when the line is back.',
    'Продавайте как обычно: всё сохраняется здесь и уйдёт само, когда связь вернётся.'],
  refused: ['Head office does not know this shop', 'Офис не узнаёт этот магазин'],
  refused_do: ['Sell as usual, nothing is lost. Call your administrator:', 'Продавайте как обычно, ничего не потеряется. Позвоните администратору:'],
  silent: ['The shop’s 1C is silent', '1С магазина молчит'],
  silent_do: ['See that it runs and writes its files. Head office sees old stock until then.',
    'Проверьте, что 1С запущена и выгружает файлы. До этого офис видит старые остатки.'],
  books: ['The books need a look', 'Нужна проверка учёта'],
  books_do: ['Sell as usual and call your administrator.', 'Продавайте как обычно и позвоните администратору.'],
  no_shop: ['This program belongs to no shop yet', 'Программа ещё не подключена к магазину'],
  no_shop_do: ['Call your administrator.', 'Позвоните администратору.'],
  line: ['Line', 'Связь'],
  line_up: ['up', 'есть'],
  line_down: ['down since {0}', 'нет с {0}'],
  source: ['1C', '1С'],
  waiting: ['To be sent', 'Ждут отправки'],
  never: ['–', '–'],
  // Sign-in.
  sign_in: ['Sign in', 'Вход'],
  code: ['The six digits of the code', 'Шесть цифр кода'],
  code_hint: ['Your administrator gets the code at this shop’s PC; it is good once, for ten minutes:',
    'Код выдаёт администратор на компьютере магазина; он действует один раз, десять минут:'],
  code_wrong: ['This code is not right, or its time is over. Ask for a new one.', 'Код не подошёл, или его время вышло. Попросите новый.'],
  code_often: ['Too many tries. Wait a minute.', 'Слишком много попыток. Подождите минуту.'],
  enter: ['Enter', 'Войти'],
  // Looking up.
  look: ['Scan a piece, or type its article', 'Отсканируйте изделие или наберите артикул'],
  find: ['Find', 'Найти'],
  kept: ['Not looked up yet, kept:', 'Ещё не найдено, сохранено:'],
  unknown: ['Nobody knows this code', 'Такого кода никто не знает'],
  unknown_do: ['Scan it again. If the tag is damaged, type the article.', 'Отсканируйте ещё раз. Если бирка повреждена, наберите артикул.'],
  failed: ['It did not work', 'Не получилось'],
  here: ['Here', 'Здесь'],
  pieces: ['{0} pcs', '{0} шт.'],
  for_orders: ['kept for web orders: {0}', 'отложено для заказов: {0}'],
  not_for_sale: ['not for sale: {0}', 'не для продажи: {0}'],
  below: ['The books say {0}: tell head office.', 'По учёту {0}: сообщите в офис.'],
  elsewhere: ['In other shops', 'В других магазинах'],
  far: ['elsewhere: {0}', 'в других: {0}'],
  nowhere: ['In no other shop.', 'В других магазинах нет.'],
  elsewhere_old: ['No line: other shops as they were known at {0}.', 'Нет связи: другие магазины по данным на {0}.'],
  as_of: ['at {0}', 'на {0}'],
  shut: ['closed now', 'сейчас закрыт'],
  unsure: ['not sure', 'не проверено'],
  km: ['{0} km', '{0} км'],
  m: ['{0} m', '{0} м'],
  size: ['size {0}', 'размер {0}'],
  fineness: ['fineness {0}', 'проба {0}'],
  weight: ['{0} g', '{0} г'],
  article: ['Article {0}', 'Артикул {0}'],
};

const REMEMBERED = 'vitrina.lang';
const redraws = [];

function remembered() {
  try {
    return localStorage.getItem(REMEMBERED);
  } catch {
    // A browser that keeps nothing shows the setting's language.
    return null;
  }
}

let lang = ['en', 'ru'].includes(remembered()) ? remembered() : document.documentElement.lang;
document.documentElement.lang = lang;

/// A text in the language of the page; `{0}` is the first of `values`.
export function t(name, ...values) {
  const text = WORDS[name][lang === 'ru' ? 1 : 0];
  return text.replace(/\{(\d)\}/g, (_, place) => values[place] ?? '');
}

/// Draws now and whenever the language changes.
export function drawn(draw) {
  redraws.push(draw);
  draw();
}

/// The other language, from now on.
export function switchLang() {
  lang = lang === 'ru' ? 'en' : 'ru';
  document.documentElement.lang = lang;
  try {
    localStorage.setItem(REMEMBERED, lang);
  } catch {
    // It holds until the page is closed.
  }
  redraws.forEach((draw) => draw());
}

const locale = () => (lang === 'ru' ? 'ru-RU' : 'en-GB');

/// A time of today as `10:42`, another with its day.
export function time(text) {
  if (!text) return t('never');
  const at = new Date(text);
  const clock = at.toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit' });
  if (at.toDateString() === new Date().toDateString()) return clock;
  return `${at.toLocaleDateString(locale(), { day: '2-digit', month: '2-digit' })} ${clock}`;
}

/// A number as people write it.
export const number = (value) => value.toLocaleString(locale());

/// A price as people write it, kopecks where there are any.
export function money({ amount, currency }) {
  const digits = amount.endsWith('.00') ? 0 : 2;
  const form = { style: 'currency', currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
  return Number(amount).toLocaleString(locale(), form);
}

/// A distance as people say it.
export function distance(km) {
  if (km < 1) return t('m', number(Math.round(km * 100) * 10));
  return t('km', number(km < 10 ? Math.round(km * 10) / 10 : Math.round(km)));
}

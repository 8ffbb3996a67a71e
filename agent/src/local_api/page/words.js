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
  behind: ['The stock here is that of a copy', 'Остатки здесь взяты из копии'],
  behind_do: ['Sell as usual, but look at the shelf before you promise a piece: what was sold after the copy comes back with the line to head office.',
    'Продавайте как обычно, но прежде чем обещать изделие, посмотрите на полку: проданное после копии вернётся со связью с офисом.'],
  no_shop: ['This program belongs to no shop yet', 'Программа ещё не подключена к магазину'],
  no_shop_do: ['Call your administrator.', 'Позвоните администратору.'],
  line: ['Line', 'Связь'],
  line_up: ['up', 'есть'],
  line_down: ['down since {0}', 'нет с {0}'],
  source: ['Last word from 1C', 'Последний сигнал от 1С'],
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
  unknown_do: ['Scan it again. If the tag is damaged, type the article: a piece cannot be found by its name.',
    'Отсканируйте ещё раз. Если бирка повреждена, наберите артикул: по названию изделие не найти.'],
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
  // Web orders.
  of_office: ['of head office', 'офиса'],
  orders: ['Web orders', 'Заказы с сайта'],
  order_asks: ['Order {0} asks for a piece, since {1}', 'Заказ {0} ждёт изделие с {1}'],
  have_it: ['We have it', 'Изделие есть'],
  have_not: ['We do not', 'Изделия нет'],
  scan_piece: ['Take the piece and scan its tag', 'Возьмите изделие и отсканируйте бирку'],
  or_type: ['The tag does not scan? Type its digits', 'Бирка не читается? Наберите цифры'],
  keep: ['Keep it', 'Отложить'],
  why_not: ['Why not?', 'Почему изделия нет?'],
  reason_sold: ['Sold', 'Продано'],
  reason_not_found: ['Not found', 'Не нашли'],
  reason_damaged: ['Damaged', 'Повреждено'],
  reason_showcase: ['Stays in the window', 'Остаётся на витрине'],
  reason_other: ['Another reason', 'Другая причина'],
  leave: ['Back', 'Назад'],
  answer_later: ['The program does not answer. Your answer is kept.', 'Программа не отвечает. Ваш ответ сохранён.'],
  other_piece: ['This is another piece ({0}). It should be {1}.', 'Это другое изделие ({0}). Нужно {1}.'],
  not_in_books: ['By the books this piece is not here, or it is kept for another order. Call head office.',
    'По учёту этого изделия здесь нет, или оно отложено для другого заказа. Позвоните в офис.'],
  confirmed: ['Order {0}: put the piece aside and write the order on it.', 'Заказ {0}: отложите изделие и подпишите номер заказа.'],
  declined: ['Order {0}: thank you, head office asks another shop.', 'Заказ {0}: спасибо, спросим другой магазин.'],
  thanks: ['Thank you, it is written down.', 'Спасибо, записано.'],
  not_needed: ['The order does not need the piece any more.', 'Изделие для заказа больше не нужно.'],
  comes: ['Order {0}: the piece is on its way here', 'Заказ {0}: изделие едет сюда'],
  order_keeps: ['Kept for order {0} until {1}', 'Отложено для заказа {0} до {1}'],
  is_gone: ['It is not here any more', 'Изделия больше нет'],
  order_over: ['Order {0} is over: put the piece back', 'Заказ {0} отменён: верните изделие на витрину'],
  is_back: ['It is back', 'Вернули'],
  whose: ['Sold while it was kept for an order. Who bought it?', 'Продано изделие, отложенное для заказа. Кто купил?'],
  sold_by_receipt: ['Receipt {0}, {1}', 'Чек {0}, {1}'],
  sold_at: ['Sold at {0}', 'Продано {0}'],
  of_order: ['The customer of order {0}', 'Покупатель заказа {0}'],
  of_other: ['Somebody else', 'Другой покупатель'],
  of_other_hint: ['Then the order is left without it, and head office is told.', 'Тогда заказ останется без изделия, и офис об этом узнает.'],
  asked_for: ['Order {0} asks for this very piece.', 'Это изделие ждёт заказ {0}.'],
  keep_for: ['Keep it for order {0}', 'Отложить для заказа {0}'],
  // Parcels.
  parcels: ['Between shops', 'Между магазинами'],
  for_order: ['order {0}', 'заказ {0}'],
  to_ship: ['To be sent to {0}', 'Отправить в {0}'],
  under_way_to: ['On its way to {0}, since {1}', 'Едет в {0}, с {1}'],
  arrived: ['Arrived at {0}', 'Пришло в {0}'],
  under_way_from: ['From {0}, since {1}', 'Из {0}, с {1}'],
  ship: ['Send', 'Отправить'],
  receive: ['Take in', 'Принять'],
  take_back: ['It was not sent', 'Не отправили'],
  taken_back: ['It stays here.', 'Осталось здесь.'],
  scan_to_ship: ['Scan the piece that leaves', 'Отсканируйте изделие, которое уезжает'],
  scan_to_receive: ['Scan the pieces, one by one', 'Сканируйте изделия по одному'],
  is_damaged: ['It has come damaged', 'Пришло повреждённым'],
  shipped: ['Sent: {0}', 'Отправлено: {0}'],
  received: ['Taken in: {0}', 'Принято: {0}'],
  not_in_parcel: ['This parcel does not wait for {0}. Look again.', 'В этой посылке {0} не ждут. Проверьте ещё раз.'],
  take_all_the_same: ['It was in the parcel: take it in', 'Оно было в посылке: принять'],
  parcel_other_than_sent: ['Other than was sent: head office looks at it.', 'Пришло не то, что отправили: офис разбирается.'],
  parcel_not_sent: ['The sender has not said so yet.', 'Отправитель ещё не подтвердил.'],
  no_sound: ['Press any key once: then new orders ring.', 'Нажмите любую клавишу: тогда о новых заказах будет звук.'],
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

// The lamp: one colour and one sentence that say whether all is well; beside them line, source and what waits.

import { by, el, say } from './dom.js';
import { call } from './call.js';
import { drawn, switchLang, t, time } from './words.js';

const EVERY_MS = 3000;
/// While it does not answer: the lamp turns back soon after it does.
const SOON_MS = 1000;

/// `null` before the first answer, `0` where there is none.
let status = null;
let waitingFor = 0;

/// Whether head office is heard.
export const isConnected = () => Boolean(status) && status.hub.state === 'connected';

/// When head office was last heard.
export const lastHeard = () => (status ? status.last_exchange_at : null);

/// The colour, the word and the sentence.
function judged() {
  if (status === null) return ['grey', t('connecting'), ''];
  if (status === 0) return ['red', t('gone'), t('gone_do')];
  if (!status.shop) return ['red', t('no_shop'), t('no_shop_do')];
  if (status.hub.state === 'refused') return ['red', t('refused'), `${t('refused_do')} ${status.hub.code ?? ''}`];
  if (status.books) return ['yellow', t('books'), t('books_do')];
  if (status.behind) return ['yellow', t('behind'), t('behind_do')];
  if (!isConnected()) return ['yellow', t('offline'), t('offline_do')];
  if (status.source_overdue) return ['yellow', t('silent'), t('silent_do')];
  return ['green', t('well'), ''];
}

/// Made once: what is drawn anew loses the focus, and is read out anew.
function make() {
  const fact = (id) => el('span', { class: 'fact' }, el('span', { id: `${id}-name` }), ': ', el('b', { id }));
  by('lamp').append(
    el('span', { class: 'bulb', 'aria-hidden': 'true' }),
    el('div', { class: 'word', role: 'status' }, el('strong', { id: 'word' }), ' ', el('span', { id: 'todo' })),
    el('button', { type: 'button', id: 'language', class: 'quiet', onclick: switchLang }),
    el('div', { id: 'facts', class: 'facts' }, fact('line'), fact('source'), fact('waiting'),
      el('b', { id: 'shop', class: 'shop' })));
}

function draw() {
  const [colour, word, todo] = judged();
  by('lamp').className = colour;
  say(by('word'), word);
  say(by('todo'), todo);
  say(by('language'), t('switch'));
  by('facts').hidden = !status || !status.shop;
  if (by('facts').hidden) return;
  const { hub, last_exchange_at: heard, pending, answers_pending: answers, shop, shop_name: name, source_as_of: asOf } = status;
  const values = {
    line: isConnected() ? t('line_up') : t('line_down', time(heard ?? hub.since)),
    source: time(asOf),
    waiting: String(pending + answers),
  };
  for (const [id, value] of Object.entries(values)) {
    say(by(`${id}-name`), t(id));
    say(by(id), value);
  }
  say(by('shop'), name && name !== shop ? `${shop} · ${name}` : shop);
  document.title = `${waitingFor > 0 ? `(${waitingFor}) ` : ''}Vitrina · ${shop}`;
}

/// So many things wait for a person: the title says it where the page itself is not seen.
export function titled(count) {
  waitingFor = count;
  if (by('word')) draw();
}

/// Looks for ever; `answered` is told the HTTP status of each answer.
export async function watchLamp(answered) {
  make();
  drawn(draw);
  for (;;) {
    const answer = await call('GET', '/v1/status');
    if (answer.status === 200) status = answer.body;
    else if (answer.status !== 401 && answer.status !== 429) status = 0;
    draw();
    answered(answer.status);
    await new Promise((wake) => setTimeout(wake, status === 0 ? SOON_MS : EVERY_MS));
  }
}

// Signing in: the six digits that `terminal add` printed make this page a terminal. The agent gives the browser a cookie that
// no script reads.

import { by, el } from './dom.js';
import { call } from './call.js';
import { drawn, t } from './words.js';

const DIGITS = 6;

let said = null;
let entered = () => {};

async function enter(event) {
  event.preventDefault();
  const code = by('pairing').value.replace(/\D/g, '');
  if (code.length !== DIGITS) return;
  const answer = await call('POST', '/v1/pairing', { code });
  if (answer.status === 200) {
    said = null;
    draw();
    entered();
    return;
  }
  said = { 0: 'gone', 429: 'code_often' }[answer.status] ?? 'code_wrong';
  draw();
}

function draw() {
  const typed = by('pairing') && said === null ? by('pairing').value : '';
  by('sign-in').replaceChildren(el('form', { class: 'panel', onsubmit: enter },
    el('h1', null, t('sign_in')),
    el('label', { for: 'pairing' }, t('code')),
    el('input', { id: 'pairing', inputmode: 'numeric', autocomplete: 'one-time-code', maxlength: 7, class: 'digits' }),
    said && el('p', { id: 'refused', class: 'bad', role: 'alert' }, t(said)),
    el('button', { type: 'submit', class: 'big go' }, t('enter')),
    el('p', { class: 'hint' }, t('code_hint'), ' ', el('code', null, 'vitrina-agent terminal add', ' NAME'))));
  by('pairing').value = typed;
  if (!by('sign-in').hidden) by('pairing').focus();
}

/// Whether the page is signed in; where not, it asks for a code.
export function showSignIn(isNeeded) {
  const view = by('sign-in');
  if (view.hidden === !isNeeded) return;
  view.hidden = !isNeeded;
  if (isNeeded) by('pairing').focus();
}

/// Makes the view; `act` follows a sign-in.
export function makeSignIn(act) {
  entered = act;
  drawn(draw);
}

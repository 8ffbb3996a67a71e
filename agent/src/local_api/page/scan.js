// The scanner: to a browser it is a very fast typist that ends with Enter. It is heard anywhere on the page, whatever has the
// focus, so that a cashier need not click first; and its Enter never presses a button.

/// The fewest characters of a scan.
const LEAST = 4;
/// What comes after a longer rest is something else.
const REST_MS = 300;
/// In a field, by key and on average: slower is a person.
const FAST_MS = 50;
/// Elsewhere nobody types: slow radio scanners are heard too.
const SLOW_MS = 1000;

/// What the keys say on the keyboard that scanners think they are. With the Russian layout they come as other letters, and a
/// scan is read by its keys.
const KEYS = {
  Minus: '-_', Equal: '=+', BracketLeft: '[{', BracketRight: ']}', Backslash: '\\|', Semicolon: ';:', Quote: '\'"',
  Backquote: '`~', Comma: ',<', Period: '.>', Slash: '/?', Space: '  ', Digit1: '1!', Digit2: '2@', Digit3: '3#',
  Digit4: '4$', Digit5: '5%', Digit6: '6^', Digit7: '7&', Digit8: '8*', Digit9: '9(', Digit0: '0)',
};

function ofKey(event) {
  if (event.code.startsWith('Key')) {
    const letter = event.code.slice(3);
    return event.shiftKey !== event.getModifierState('CapsLock') ? letter : letter.toLowerCase();
  }
  const pair = KEYS[event.code];
  return pair ? pair[event.shiftKey ? 1 : 0] : event.key;
}

const isField = (node) => node instanceof HTMLInputElement || node instanceof HTMLTextAreaElement;

/// Hears scans while `isOn()`; `heard` is given the code.
export function hearScans(isOn, heard) {
  let typed = '';
  let keyed = '';
  let first = 0;
  let last = 0;
  let field = null;
  let before = '';

  addEventListener('keydown', (event) => {
    if (!isOn() || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const where = isField(event.target) ? event.target : null;
    const isSame = where === field && event.timeStamp - last <= (where ? REST_MS : SLOW_MS);
    if (event.key === 'Enter' || event.key === 'Tab') {
      const code = (/[а-яё]/i.test(typed) ? keyed : typed).trim();
      const isFast = !where || event.timeStamp - first <= FAST_MS * typed.length;
      if (isSame && isFast && code.length >= LEAST) {
        event.preventDefault();
        event.stopImmediatePropagation();
        // What the scanner typed into a field goes; what a person had typed before stays.
        if (field) field.value = before;
        heard(code);
      }
      typed = '';
      return;
    }
    if (event.key.length !== 1) return;
    if (!isSame || typed === '') {
      typed = '';
      keyed = '';
      first = event.timeStamp;
      field = where;
      before = where ? where.value : '';
    }
    // A blank presses the button that has the focus; one within a code does not.
    if (event.key === ' ' && !where && typed !== '') event.preventDefault();
    typed += event.key;
    keyed += ofKey(event);
    last = event.timeStamp;
  }, true);
}

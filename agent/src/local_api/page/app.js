// The shop's page: puts its parts together.

import { onSignedOut } from './call.js';
import { watchLamp } from './lamp.js';
import { lookUp, makeLookUp, showLookUp } from './lookup.js';
import { hearScans } from './scan.js';
import { makeSignIn, showSignIn } from './signin.js';

let isSignedIn = false;

function sign(is) {
  isSignedIn = is;
  showSignIn(!is);
  showLookUp(is);
}

makeSignIn(() => sign(true));
makeLookUp();
onSignedOut(() => sign(false));
// A pairing code is typed as fast by some.
hearScans(() => isSignedIn, lookUp);
watchLamp((status) => {
  if (status === 200) sign(true);
});

// What the page knows. Whoever changes it calls `changed`, and what is shown follows.

export const state = {
  config: null, // api/v1/config
  board: null, // the newest board
  ahead: 0, // ms that the server's clock is ahead of ours
  heard: 0, // our clock, ms, when the server last spoke; 0: never
  lost: false, // 30 s without contact
  out: false, // who looks must log in (again)
  armed: false, // whether the sound was heard by somebody
  busy: new Set(), // what was asked and is not answered
  tab: 'list', // on a phone: list or map
};

let waiting = null;
const watchers = new Set();

export function watch(watcher) {
  watchers.add(watcher);
}

export function changed() {
  // A timer, not an animation frame: a page in the background goes on.
  waiting ??= setTimeout(() => {
    waiting = null;
    for (const watcher of watchers) watcher();
  }, 0);
}

/** The server's time, ms: ages are told by one clock. */
export const now = () => Date.now() + state.ahead;

export const administers = () => state.config?.you?.role === 'administrator';

/** Whether who looks has a name and a password of this house; whom a provider knows is NAME@PROVIDER. */
export const hasAccount = () => state.config?.you?.via === 'session' && !state.config.you.name.includes('@');

/** Whether who looks may also decide. */
export const mayAct = () => ['operator', 'administrator'].includes(state.config?.you?.role);

// Paper by day, ink by night: as the machine says, until somebody chooses.

const ORDER = ['auto', 'light', 'dark'];

export const theme = () => localStorage.getItem('theme') ?? 'auto';

function apply() {
  document.documentElement.dataset.theme = theme();
}

export function nextTheme() {
  localStorage.setItem('theme', ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length]);
  apply();
}

export const begin = apply;

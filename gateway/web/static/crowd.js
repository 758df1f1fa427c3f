// Where many marks stand close together: which labels are written and where, and how many marks lie beneath another.
// Figures only, in pixels; the map draws by them.

const CELL = 96;
const GAP = 2;

/** Boxes [left, top, right, bottom], found again by where they lie. */
class Ground {
  cells = new Map();

  *near([left, top, right, bottom]) {
    for (let x = Math.floor(left / CELL); x <= Math.floor(right / CELL); x++) {
      for (let y = Math.floor(top / CELL); y <= Math.floor(bottom / CELL); y++) yield `${x},${y}`;
    }
  }

  put(box, owner) {
    for (const cell of this.near(box)) {
      if (!this.cells.has(cell)) this.cells.set(cell, []);
      this.cells.get(cell).push([box, owner]);
    }
  }

  /** Whether another's box that `counts` is touched. */
  taken(box, self, counts = () => true) {
    for (const cell of this.near(box)) {
      for (const [[left, top, right, bottom], owner] of this.cells.get(cell) ?? []) {
        if (owner === self || !counts(owner)) continue;
        if (left < box[2] + GAP && box[0] < right + GAP && top < box[3] + GAP && box[1] < bottom + GAP) return true;
      }
    }
    return false;
  }
}

/** Where a label of that size may stand beside its mark: beneath, above, right, left. */
const sides = ({ x, y, radius }, [width, height]) => ({
  under: [x - width / 2, y + radius, x + width / 2, y + radius + height],
  above: [x - width / 2, y - radius - height, x + width / 2, y - radius],
  right: [x + radius, y - height / 2, x + radius + width, y + height / 2],
  left: [x - radius - width, y - height / 2, x - radius, y + height / 2],
});

const inside = (box, frame) => box[0] >= frame[0] && box[1] >= frame[1] && box[2] <= frame[2] && box[3] <= frame[3];

/** For each pin, the most urgent first, {label, side, beneath}: the index of the size that is written, or -1 for none;
 * on which side; and the pins that its mark covers, null where it is itself beneath another. A pin: {x, y, radius,
 * sizes: [[width, height]], weight, calm}; `badge`: [width, height] of what is written at the upper right of a mark that
 * covers others that are not calm. A label stays within `frame` and covers no other label, no badge, and no mark but those of less weight. */
export function arrange(pins, frame, badge) {
  const marks = new Ground();
  const labels = new Ground();
  const covered = beneath(pins);
  pins.forEach(({ x, y, radius }, n) => {
    if (covered[n]) marks.put([x - radius, y - radius, x + radius, y + radius], n);
    if (covered[n]?.some((other) => !pins[other].calm)) labels.put([x + radius / 2, y - radius / 2 - badge[1], x + radius / 2 + badge[0], y - radius / 2], n);
  });
  return pins.map((pin, n) => {
    const found = { label: -1, side: 'under', beneath: covered[n] };
    const ways = [() => true, ...(pin.weight ? [(other) => pins[other].weight >= pin.weight] : [])];
    for (const [label, size] of covered[n] === null ? [] : pin.sizes.entries()) {
      for (const counts of ways) {
        for (const [side, box] of Object.entries(sides(pin, size))) {
          if (!inside(box, frame) || labels.taken(box, n) || marks.taken(box, n, counts)) continue;
          labels.put(box, n);
          return { ...found, label, side };
        }
      }
    }
    return found;
  });
}

/** For each pin the pins beneath it, null for one that lies beneath another: its middle is under the other's mark; for a
 * one of weight, only where hardly anything of it would be seen. */
function beneath(pins) {
  const heads = new Map(); // cell -> indices of pins on top
  const found = pins.map(() => []);
  pins.forEach((pin, n) => {
    const [column, line] = [Math.floor(pin.x / CELL), Math.floor(pin.y / CELL)];
    for (let x = column - 1; x <= column + 1; x++) {
      for (let y = line - 1; y <= line + 1; y++) {
        for (const head of heads.get(`${x},${y}`) ?? []) {
          if (Math.hypot(pins[head].x - pin.x, pins[head].y - pin.y) >= pins[head].radius * (pin.weight ? 0.5 : 1)) continue;
          found[head].push(n);
          found[n] = null;
          return;
        }
      }
    }
    const cell = `${column},${line}`;
    heads.set(cell, [...(heads.get(cell) ?? []), n]);
  });
  return found;
}

'use strict';
// The scene: what is there at one moment. A film is a scene and what changed in it when, as merge patches (RFC 7396).

const film = JSON.parse(document.getElementById('film').textContent);
const find = (id) => document.getElementById(id);

function merge(target, patch) {
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete target[name];
    else if (typeof value !== 'object' || Array.isArray(value)) target[name] = value;
    else target[name] = merge(Object.hasOwn(target, name) && typeof target[name] === 'object' ? target[name] : {}, value);
  }
  return target;
}

// The scene of a film at a second: only what changes is played, from the start when the time is before the one shown.
const player = {
  next: 0,
  scene: structuredClone(film.scene ?? {}),
  at(seconds) {
    const frames = film.frames ?? [];
    if (this.next > 0 && frames[this.next - 1][0] > seconds) {
      this.next = 0;
      this.scene = structuredClone(film.scene);
    }
    while (this.next < frames.length && frames[this.next][0] <= seconds) merge(this.scene, frames[this.next++][1]);
    return this.scene;
  },
};

// What an element shows is always text.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, '');
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// The same within a picture.
function drawn(name, attributes = {}) {
  const made = document.createElementNS(document.querySelector('svg').namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Sets a text only where it changed, so that a selection and a reader's place are kept.
function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

// Brings the children of `parent` in line with `items`: one element each, made once for its key.
function keep(parent, items, key, make, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = old.get(name);
    if (!child) {
      child = make(item);
      child.dataset.key = name;
    }
    old.delete(name);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    update(child, item);
  }
  for (const child of old.values()) child.remove();
}

const two = (number) => String(number).padStart(2, '0');

// Of so many seconds: `12 min 51 s`.
function span(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${rest} s` : `${rest} s`;
}

// `+10:07`, since the start of what is shown.
function mark(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const hours = Math.floor(whole / 3600);
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return hours ? `+${hours}:${rest}` : `+${rest}`;
}

// `03:10:07`, UTC.
const clock = (seconds) => new Date((film.start + seconds) * 1000).toISOString().slice(11, 19);

const counted = (number, word) => `${number.toLocaleString('en')} ${word}${number === 1 ? '' : 's'}`;

// The states of an execution that were entered by now, each as it stands now.
function visits(execution, now) {
  return Object.values(execution?.visits ?? {}).filter((visit) => visit.a <= now).map((visit) => {
    const left = visit.z !== undefined && visit.z <= now;
    const over = execution.ended !== undefined && execution.ended <= now;
    return { ...visit, left, to: left ? visit.z : over ? execution.ended : now, now: left || over ? visit.k : 'running' };
  });
}

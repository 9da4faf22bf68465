// The sandbox itself: what happens in it comes as server-sent events, and what is to happen is sent to it.

const live = {
  scene: {},
  time: { now: 0, speed: 60, paused: false },
  here: true,
  follow() {
    const events = new EventSource('/_sandbox/events');
    // Each connection begins with the whole scene; the browser connects again by itself.
    events.addEventListener('open', () => {
      this.scene = {};
      this.here = true;
    });
    events.addEventListener('error', () => {
      this.here = false;
      redraw();
    });
    events.addEventListener('message', ({ data }) => {
      merge(this.scene, JSON.parse(data));
      this.time = this.scene.time;
      film.start = this.time.start;
      redraw();
    });
    redraw();
  },
};

// Tells the sandbox; what came of it is said under the buttons.
async function post(path, body) {
  const done = find('done');
  let [says, well] = ['', false];
  try {
    const answer = await fetch(`/_sandbox/${path}`, { method: 'POST', body: JSON.stringify(body) });
    const told = await answer.json();
    [says, well] = [told.error ?? told.done ?? '', answer.ok];
  } catch {
    says = 'The sandbox does not answer.';
  }
  done.classList.toggle('bad', !well);
  say(done, says);
  return well;
}

const deeds = (() => {
  const dialog = find('dialog');

  function begin() {
    if (!film.deeds) return;
    find('deeds-card').hidden = false;
    find('deeds').append(...film.deeds.map((deed) => element('button', { type: 'button', title: deed.about ?? '', onclick: () => ask(deed) }, deed.name)));
  }

  // Of one that takes nothing there is nothing to ask.
  function ask(deed) {
    if (deed.arguments.length === 0) return post('do', [deed.name]);
    const fields = deed.arguments.map((argument) => ({ argument, field: field(argument) }));
    const says = element('p', { class: 'done', role: 'alert' });
    const form = element(
      'form',
      { method: 'dialog' },
      element('h2', { id: 'dialog-name' }, deed.name),
      element('p', { class: 'quiet' }, deed.about ?? ''),
      ...fields.map(({ argument, field }) => label(argument, field)),
      says,
      element('div', { class: 'bar' }, element('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'), element('button', { class: 'main' }, 'Do it')),
    );
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      if (await post('do', words(deed, fields))) return dialog.close();
      says.classList.add('bad');
      say(says, find('done').textContent);
    });
    dialog.replaceChildren(form);
    dialog.showModal();
    form.querySelector('input')?.focus();
  }

  function field({ name, flag, required, default: usual }) {
    if (flag) return element('input', { type: 'checkbox' });
    const value = name === 'node' || name === 'rank' ? place(name) : usual;
    return element('input', { class: 'field', required, value, autocomplete: 'off' });
  }

  // The node that is looked at, or the rank on it.
  function place(name) {
    const id = nodes.chosen();
    const number = Math.max(0, Object.keys(live.scene.nodes ?? {}).sort().indexOf(id));
    if (name === 'node') return String(number);
    for (const { attempt, attempts } of Object.values(live.scene.jobs ?? {})) {
      const rank = Object.entries(attempts[attempt] ?? {}).find(([, rank]) => rank.node === id);
      if (rank) return rank[0];
    }
    return '0';
  }

  function label({ name, option, flag, help }, field) {
    const words = element('span', {}, element('b', {}, (option ?? name).replaceAll('_', ' ')));
    if (help) words.append(element('span', { class: 'quiet' }, ` ${help}`));
    return element('label', { class: flag ? 'check' : '' }, ...(flag ? [field, words] : [words, field]));
  }

  // As on the command line; what is as usual is left out.
  function words(deed, fields) {
    const line = [deed.name];
    for (const { argument, field } of fields) {
      if (argument.flag) {
        if (field.checked) line.push(`--${argument.option}`);
      } else if (!argument.option) {
        if (field.value) line.push(field.value);
      } else if (field.value && field.value !== argument.default) line.push(`--${argument.option}=${field.value}`);
    }
    return line;
  }

  return { begin };
})();

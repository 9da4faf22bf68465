// A bar for each phase of the recovery, and one for each node that it works on.

const timeline = (() => {
  const place = find('timeline');
  const axis = element('div', { class: 'axis', 'aria-hidden': 'true' }, element('span'), element('div'));
  const rows = element('ol', { class: 'rows', 'aria-label': 'Phases and nodes', tabindex: '0' });
  const empty = element('p', { class: 'quiet' }, 'Nothing is being recovered.');
  place.append(axis, rows, empty);

  // A state that is over at once is no phase.
  const LEAST = 1;

  function draw({ execution, now, end }) {
    empty.hidden = Boolean(execution);
    axis.hidden = rows.hidden = !execution;
    if (!execution) return;
    const seen = visits(execution, now);
    const from = execution.began;
    const to = Math.max(from + 1, execution.ended ?? end ?? now, ...(film.live ? [Math.min(now, execution.ended ?? now)] : []));
    const groups = new Map();
    const add = (key, label, node, visit) => {
      const row = groups.get(key) ?? { key, label, node, spans: [] };
      row.spans.push(visit);
      groups.set(key, row);
    };
    for (const visit of seen) if (visit.m === undefined) add(`phase ${visit.s}`, visit.s, false, visit);
    const nodes = seen.filter((visit) => visit.m !== undefined && visit.n);
    for (const visit of nodes) add(`node ${visit.n}`, visit.n, true, visit);
    const lasts = (row) => row.node || row.spans.some((s) => s.now !== 'succeeded') || row.spans.reduce((sum, s) => sum + s.to - s.a, 0) >= LEAST;
    const shown = [...groups.values()].filter(lasts);
    shown.sort((one, other) => one.node - other.node || one.spans[0].a - other.spans[0].a);
    keep(rows, shown, (row) => row.key, make, (child, row) => fill(child, row, from, to));
    ticks(from, to);
  }

  function make(row) {
    const track = element('div', { class: 'track', role: 'img' });
    return element('li', { class: row.node ? 'row of-node' : 'row' }, element('span', { title: row.label }, row.label), track);
  }

  function fill(child, row, from, to) {
    const track = child.lastElementChild;
    const look = `${from} ${to} ${row.spans.map((s) => `${s.a} ${s.to} ${s.now}`)}`;
    if (track.dataset.look === look) return;
    track.dataset.look = look;
    const words = row.spans.map((s) => `${s.s} ${span(s.to - s.a)}${s.now === 'succeeded' ? '' : `, ${s.now}`}`);
    track.setAttribute('aria-label', `${row.label}: ${words.join('; ')}`);
    const part = (seconds) => (100 * seconds) / (to - from);
    keep(track, row.spans.map((s, number) => ({ ...s, number })), (s) => s.number, () => element('div'), (bar, s) => {
      bar.className = `span ${s.now}${/Wait/.test(s.s) ? ' wait' : ''}`;
      bar.style.left = `${part(s.a - from)}%`;
      bar.style.width = `${part(s.to - s.a)}%`;
      bar.title = `${s.s}: ${mark(s.a - from)}, ${span(s.to - s.a)}${s.r ? `, ${counted(s.r, 'retry').replace('retrys', 'retries')}` : ''}${s.e ? `\n${s.e}` : ''}`;
      say(bar, part(s.to - s.a) < 7 ? '' : row.node ? `${s.s} ${span(s.to - s.a)}` : span(s.to - s.a));
    });
  }

  function ticks(from, to) {
    const wanted = (to - from) / 5;
    const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600].find((s) => s >= wanted) ?? 86400;
    const marks = [];
    for (let at = 0; at <= to - from; at += step) marks.push(at);
    keep(axis.lastElementChild, marks, (at) => at, (at) => element('b', {}, mark(at)), (tick, at) => {
      tick.style.left = `${(100 * at) / (to - from)}%`;
      tick.hidden = at / (to - from) > 0.96;
    });
  }

  return { draw };
})();

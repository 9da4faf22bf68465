// The jobs, each with its last attempts and what became of their ranks.

const jobs = (() => {
  const place = find('jobs');
  const MANY = 64;
  const colours = { IN_PROGRESS: 'good', COMPLETE: 'good', FAILED: 'bad', USER_STOPPED: '' };

  function draw({ scene }) {
    find('jobs-card').hidden = !scene.jobs;
    const all = Object.entries(scene.jobs ?? {}).map(([id, job]) => ({ id, ...job }));
    keep(place, all, (job) => job.id, () => element('div', { class: 'job' }), (child, job) => {
      const look = JSON.stringify(job);
      if (child.dataset.look === look) return;
      child.dataset.look = look;
      const attempts = Object.entries(job.attempts).reverse().map(([number, ranks]) => attempt(number, Object.entries(ranks)));
      const pill = element('span', { class: `pill-word ${colours[job.status] ?? 'busy'}` }, job.status);
      const reason = job.reason ? [element('p', { class: 'quiet' }, job.reason)] : [];
      child.replaceChildren(element('h3', {}, job.id), pill, ...reason, ...attempts);
    });
  }

  function kind(rank) {
    if (rank.status === 'COMPLETE') return ['complete', 'complete'];
    if (rank.status === 'RUNNING') return ['running', 'running'];
    if (rank.why?.startsWith('gpu-recovery:')) return ['stopped', 'stopped by the recovery'];
    return rank.code ? ['bad', `ended with exit code ${rank.code}`] : ['stopped', 'stopped'];
  }

  function attempt(number, ranks) {
    const sums = new Map();
    const cells = ranks.map(([rank, seen]) => {
      const [colour, word] = kind(seen);
      sums.set(word, (sums.get(word) ?? 0) + 1);
      return element('i', { class: colour, title: `rank ${rank} on ${seen.node ?? 'no node'}: ${seen.why ?? word}` });
    });
    const words = [...sums].map(([word, count]) => `${count} ${word}`).join(', ');
    const strip = element('div', { class: `ranks${ranks.length > MANY ? ' many' : ''}`, role: 'img', 'aria-label': `${counted(ranks.length, 'rank')}: ${words}` }, ...cells);
    return element('div', { class: 'attempt' }, element('b', {}, `attempt ${number}`), strip, element('p', { class: 'quiet' }, words));
  }

  return { draw };
})();

// Everything here improves a page that is complete without it. Text from the data is set as text, never as HTML.
(() => {
  const find = selector => document.querySelector(selector);
  const all = selector => [...document.querySelectorAll(selector)];
  const root = document.documentElement;
  root.classList.add('has-js');

  // details are open on paper
  let opened = [];
  addEventListener('beforeprint', () => {
    opened = all('details:not([open])');
    for (const details of opened) details.open = true;
  });
  addEventListener('afterprint', () => { for (const details of opened) details.open = false; });

  find('#theme').addEventListener('click', () => {
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
  });

  const data = JSON.parse(find('#data').textContent);
  const LABELS = { r: 'retained', s: 'spliced', u: 'unknown' };
  const ORDER = 'rsu';
  const count = new Intl.NumberFormat('en');
  const introns = unpack(data);
  const narrow = matchMedia('(max-width: 54rem)').matches;
  const view = { key: data.sort ?? 'i', down: data.sort !== null, page: 0, size: narrow ? 10 : 25 };
  const body = find('#all tbody'), gene = find('#f-gene'), label = find('#f-label'), plausible = find('#f-short');

  function unpack(columns) {
    let start = 0;
    return columns.start.map((step, i) => {
      start += step;
      const intron = {
        i, start, end: start + columns.length[i], length: columns.length[i],
        chrom: columns.chroms[columns.chrom ? columns.chrom[i] : 0],
        strand: columns.strand[i], gene: columns.genes[columns.gene[i]],
        gc: columns.gc ? columns.gc[i] : null, label: ORDER.indexOf(columns.label[i]), fold: columns.folds[columns.fold[i]],
      };
      for (const ranking of columns.views) {
        intron[ranking.key] = ranking.p[i];
        intron[`${ranking.key} rank`] = ranking.rank[i];
      }
      return intron;
    });
  }

  const element = (name, text, css) => {
    const node = document.createElement(name);
    if (text !== undefined) node.textContent = text;
    if (css) node.className = css;
    return node;
  };
  const thousandths = value => value === null || value === undefined ? '–' : (value / 1000).toFixed(3);
  const ucscName = chrom => {
    const name = chrom.startsWith(data.chr) ? chrom : data.chr + chrom;
    return name === 'chrMT' ? 'chrM' : name;
  };

  function browsers({ chrom, start, end }) {
    const place = `${start + 1}-${end}`, found = [];
    if (data.ucsc) found.push(['UCSC', `https://genome.ucsc.edu/cgi-bin/hgTracks?db=${data.ucsc}&position=${ucscName(chrom)}:${place}`]);
    if (data.ensembl) found.push(['Ensembl', `${data.ensembl}/Location/View?r=${chrom.replace(/^chr/, '')}:${place}`]);
    if (data.ucsc) found.push(['IGV', `http://localhost:60151/goto?locus=${ucscName(chrom)}:${place}`]);
    return found.map(([name, address]) => {
      const link = element('a', name);
      link.href = address;
      link.target = '_blank';
      link.rel = 'noopener';
      return link;
    });
  }

  function appendLinks(parent, place) {
    browsers(place).forEach((link, i) => parent.append(...(i ? [' · ', link] : [link])));
    return parent;
  }

  function rowOf(intron) {
    const row = element('tr'), name = element('th', intron.gene), labelled = element('td', undefined, 'lb');
    name.scope = 'row';
    const letter = ORDER[intron.label];
    labelled.append(element('span', LABELS[letter], `lab ${letter}`));
    const strand = intron.strand === '-' ? '−' : intron.strand;
    row.append(
      name,
      element('td', `${intron.chrom}:${count.format(intron.start + 1)}–${count.format(intron.end)} (${strand})`, 'loc'),
      element('td', count.format(intron.length), 'n nt'),
      element('td', intron.gc === null ? '–' : (intron.gc / 10).toFixed(1), 'n wide'),
      labelled,
      ...data.views.map((ranking, i) => element('td', thousandths(intron[ranking.key]), i ? 'n wide' : 'n pr')),
      element('td', intron.fold || '–', 'n wide'),
    );
    if (data.ucsc || data.ensembl) row.append(appendLinks(element('td', undefined, 'links noprint'), intron));
    return row;
  }

  function overlaps(intron, query) {
    const place = query.replace(/,/g, '').match(/^(?:chr)?([\w.]+):(\d+)(?:[-–](\d+))?$/);
    if (!place) return false;
    const chrom = intron.chrom.toLowerCase().replace(/^chr/, '');
    return place[1] === chrom && intron.end >= Number(place[2]) && intron.start < Number(place[3] ?? place[2]);
  }

  function shown() {
    const query = gene.value.trim().toLowerCase();
    // a whole name is that gene; a part of one, every gene that holds it
    const whole = introns.some(intron => intron.gene.toLowerCase() === query);
    const named = name => whole ? name === query : name.includes(query);
    const kept = introns.filter(intron =>
      (!query || named(intron.gene.toLowerCase()) || overlaps(intron, query))
      && (label.value === '' || intron.label === Number(label.value))
      && !(plausible?.checked && intron.length < 30));
    const text = ['gene', 'fold'].includes(view.key), sign = view.down ? -1 : 1;
    // models of two folds have no common scale: not its probability ranks an intron, but its place in its fold
    const by = data.views.some(ranking => ranking.key === view.key) ? `${view.key} rank` : view.key;
    return kept.sort((a, b) => {
      const x = a[by], y = b[by];
      if (x === y) return a.i - b.i;
      if (x === null || x === undefined) return 1;
      if (y === null || y === undefined) return -1;
      return sign * (text ? x.localeCompare(y, 'en', { numeric: true }) : x - y);
    });
  }

  function draw() {
    const rows = shown(), pages = Math.max(1, Math.ceil(rows.length / view.size));
    view.page = Math.min(view.page, pages - 1);
    body.replaceChildren(...rows.slice(view.page * view.size, (view.page + 1) * view.size).map(rowOf));
    find('#count').textContent = `${count.format(rows.length)} of ${count.format(introns.length)} ${data.unit}s`
      + (pages > 1 ? `, page ${view.page + 1} of ${pages}` : '');
    find('#prev').disabled = view.page === 0;
    find('#more').disabled = view.page >= pages - 1;
    for (const head of all('#all th[data-k]')) {
      if (head.dataset.k === view.key) head.setAttribute('aria-sort', view.down ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    }
    drawGene(rows);
  }

  const SVG = 'http://www.w3.org/2000/svg';
  const shape = (name, attributes, text) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };

  // one gene asked for: its introns as lines along the gene, as high as their held-out probability
  function drawGene(rows) {
    const box = find('#gene'), query = gene.value.trim().toLowerCase();
    const names = new Set(rows.map(intron => intron.gene));
    const name = data.genes.find(one => one.toLowerCase() === query) ?? (names.size === 1 ? [...names][0] : undefined);
    box.hidden = !query || name === undefined;
    if (box.hidden) return;
    const members = introns.filter(intron => intron.gene === name), ranking = data.views[0];
    const start = Math.min(...members.map(intron => intron.start)), end = Math.max(...members.map(intron => intron.end));
    const numbers = [...ORDER].map((letter, i) => `${members.filter(intron => intron.label === i).length} ${LABELS[letter]}`);
    const title = element('p');
    title.append(element('b', name), `: ${count.format(members.length)} ${data.unit}s, ${numbers.join(', ')}. `);
    appendLinks(title, { chrom: members[0].chrom, start, end });
    box.replaceChildren(title);
    if (ranking) {
      box.append(geneFigure(members, ranking, name, start, end));
      box.append(element('p', `Each line is an ${data.unit} where it lies; its height is the held-out probability of retention (${ranking.short}). Square: retained.`, 'cap'));
    }
  }

  function geneFigure(members, ranking, name, start, end) {
    const width = 680, height = 150, left = 44, right = 10, top = 12, bottom = 30;
    const predicted = members.filter(intron => intron[ranking.key] !== null);
    const highest = Math.max(0.2, ...predicted.map(intron => intron[ranking.key] / 1000));
    const x = base => left + (base - start) / (end - start || 1) * (width - left - right);
    const y = p => height - bottom - p / highest * (height - bottom - top);
    const svg = shape('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', style: 'max-width: 44rem; width: 100%' });
    svg.append(shape('title', {}, `Introns of ${name}: height is the held-out probability of retention`));
    for (const p of [0, highest / 2, highest]) {
      svg.append(shape('line', { class: 'g', x1: left, x2: width - right, y1: y(p), y2: y(p) }));
      svg.append(shape('text', { class: 't', x: left - 6, y: y(p) + 4, 'text-anchor': 'end' }, p.toFixed(2)));
    }
    const foot = height - 8, { chrom, strand } = members[0];
    svg.append(shape('text', { class: 't', x: left, y: foot }, `${chrom}:${count.format(start + 1)}`));
    svg.append(shape('text', { class: 't', x: (left + width) / 2, y: foot, 'text-anchor': 'middle' }, strand === '-' ? '← transcribed' : 'transcribed →'));
    svg.append(shape('text', { class: 't', x: width - right, y: foot, 'text-anchor': 'end' }, count.format(end)));
    for (const intron of predicted.sort((a, b) => b.label - a.label)) {
      const p = intron[ranking.key] / 1000, retained = intron.label === 0, part = shape('g', {});
      part.append(shape('title', {}, `${intron.chrom}:${intron.start + 1}-${intron.end}, ${intron.length} nt, ${LABELS[ORDER[intron.label]]}, ${p.toFixed(3)}`));
      const from = x(intron.start), to = Math.max(x(intron.end), from + 3);
      part.append(shape('line', { class: retained ? 'sr' : 'ss', x1: from, x2: to, y1: y(p), y2: y(p), 'stroke-width': 4 }));
      if (retained) part.append(shape('rect', { class: 'fr', x: (from + to) / 2 - 3.5, y: y(p) - 3.5, width: 7, height: 7 }));
      svg.append(part);
    }
    return svg;
  }

  const ASCENDING_FIRST = ['gene', 'i', 'length', 'label', 'fold'];
  for (const head of all('#all th[data-k]')) {
    const button = element('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      view.down = view.key === head.dataset.k ? !view.down : !ASCENDING_FIRST.includes(head.dataset.k);
      view.key = head.dataset.k;
      view.page = 0;
      draw();
    });
  }
  for (const input of [gene, label, plausible]) {
    input?.addEventListener('input', () => { view.page = 0; draw(); });
  }
  find('#prev').addEventListener('click', () => { view.page--; draw(); });
  find('#more').addEventListener('click', () => { view.page++; draw(); });
  find('#reset').addEventListener('click', () => {
    gene.value = label.value = '';
    if (plausible) plausible.checked = true;
    view.page = 0;
    draw();
  });
  const ask = query => {
    gene.value = query;
    view.page = 0;
    draw();
    find('#search').scrollIntoView();
    gene.focus({ preventScroll: true });
  };
  find('#find').addEventListener('submit', event => { event.preventDefault(); ask(find('#q').value); });
  find('#names').append(...data.genes.map(name => { const option = element('option'); option.value = name; return option; }));
  draw();
  const asked = decodeURIComponent(location.hash).match(/^#gene=(.+)/);
  if (asked) ask(asked[1]);
})();

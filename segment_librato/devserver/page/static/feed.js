/**
 * A long list that the server has, newest first, of which the page holds what it shows.
 *
 * Rows are numbered from the newest. Those that came after `anchor` are in `fresh`; the others are
 * loaded in pages, counted from the anchor, so that what arrives moves none of them.
 * Must not know what a row is, beyond its id, or how it is shown.
 */

const PAGE = 200;
const MAX_LIMIT = 1000;
const MAX_FRESH = 4000;
const MAX_PAGES = 40;

/**
 * @template Row
 * @typedef {(query: {before?: number, after?: number, offset?: number, limit: number})
 *   => Promise<{rows: Row[], matching: number}>} Fetch
 */

/** @template {{id: number}} Row */
export class Feed {
  /**
   * @param {Fetch<Row>} fetchRows
   * @param {(added: number) => void} onChange called when rows have come that were not there, of
   *   which so many are newer than all others
   * @param {(problem: unknown) => void} onProblem
   */
  constructor(fetchRows, onChange, onProblem) {
    this.fetchRows = fetchRows;
    this.onChange = onChange;
    this.onProblem = onProblem;
    /** @type {Row[]} */
    this.fresh = [];
    /** @type {Map<number, Row[] | null>} null while it is loading */
    this.pages = new Map();
    this.anchor = 0;
    /** The id up to which the server was asked, whether or not a row matched. */
    this.seen = 0;
    this.total = 0;
    /** The newest id on the server, as far as is known. */
    this.latest = 0;
    this.generation = 0;
    this.isResetting = false;
    this.isFollowing = false;
  }

  /** The id of the newest row. */
  get newest() {
    return this.fresh[0]?.id ?? this.anchor;
  }

  /**
   * Return a row, if it is here.
   *
   * @param {number} index
   * @returns {Row | undefined}
   */
  at(index) {
    if (index < this.fresh.length) return this.fresh[index];
    const position = index - this.fresh.length;
    return this.pages.get(Math.floor(position / PAGE))?.[position % PAGE];
  }

  /**
   * Return the index of a row; -1 if it is not here.
   *
   * @param {number} id
   */
  indexOf(id) {
    const fresh = this.fresh.findIndex((row) => row.id === id);
    if (fresh >= 0) return fresh;
    for (const [page, rows] of this.pages) {
      const position = rows?.findIndex((row) => row.id === id) ?? -1;
      if (position >= 0) return this.fresh.length + page * PAGE + position;
    }
    return -1;
  }

  /**
   * Begin again with the newest rows, or with those up to an id.
   *
   * @param {number} [upTo]
   */
  async reset(upTo) {
    const generation = ++this.generation;
    this.isResetting = true;
    this.latest = 0;
    try {
      const { rows, total } = await this.fetchNewest(upTo);
      if (generation !== this.generation) return;
      this.begin(rows, total, upTo ?? rows[0]?.id ?? 0);
    } finally {
      if (generation === this.generation) this.isResetting = false;
    }
    this.onChange(0);
    await this.catchUp();
  }

  /** @param {number} [upTo] */
  async fetchNewest(upTo) {
    const bound = upTo === undefined ? {} : { before: upTo + 1 };
    const { rows, matching } = await this.fetchRows({ ...bound, limit: PAGE });
    if (rows.length < PAGE) return { rows, total: rows.length };
    if (upTo === undefined) return { rows, total: matching };
    const newer = await this.fetchRows({ after: upTo, limit: MAX_LIMIT });
    return { rows, total: matching - newer.rows.length };
  }

  /**
   * @param {Row[]} rows
   * @param {number} total
   * @param {number} anchor
   */
  begin(rows, total, anchor) {
    this.fresh = [];
    this.pages = new Map([[0, rows]]);
    this.anchor = anchor;
    this.seen = 0;
    this.total = total;
  }

  /**
   * Load what came since.
   *
   * @param {number} latest the newest id on the server
   */
  async follow(latest) {
    this.latest = Math.max(this.latest, latest);
    await this.catchUp();
  }

  async catchUp() {
    if (this.isFollowing) return;
    this.isFollowing = true;
    try {
      while (!this.isResetting && Math.max(this.newest, this.seen) < this.latest) await this.loadNewer();
    } finally {
      this.isFollowing = false;
    }
  }

  async loadNewer() {
    const { generation, total, latest } = this;
    const after = Math.max(this.newest, this.seen);
    const { rows, matching } = await this.fetchRows({ after, limit: MAX_LIMIT });
    if (generation !== this.generation) return;
    let added = rows.length;
    if (added < MAX_LIMIT) {
      this.fresh.unshift(...rows);
      this.total = Math.max(matching, this.fresh.length);
      if (this.fresh.length > MAX_FRESH) this.moveAnchor();
    } else {
      // There are more than these: the others are loaded when they come into view.
      this.begin(rows.slice(0, PAGE), matching, rows[0].id);
      added = Math.max(matching - total, 0);
    }
    this.seen = latest;
    if (added || this.total !== total) this.onChange(added);
  }

  /**
   * Load the rows of a range that are not here.
   *
   * @param {number} first
   * @param {number} last
   */
  need(first, last) {
    const from = Math.max(first - this.fresh.length, 0);
    const to = Math.min(last, this.total - 1) - this.fresh.length;
    for (let page = Math.floor(from / PAGE); page * PAGE <= to; page++) {
      if (!this.pages.has(page)) this.load(page);
    }
  }

  /**
   * Load the rows again that are here in part: they have changed.
   *
   * @param {number} first
   * @param {number} last
   */
  async renew(first, last) {
    const { generation } = this;
    const limit = Math.min(last - first + 1, MAX_LIMIT);
    const before = this.at(first)?.id;
    if (before === undefined) return;
    const { rows } = await this.fetchRows({ before: before + 1, limit });
    if (generation !== this.generation) return;
    for (const row of rows) {
      const index = this.indexOf(row.id);
      if (index < 0) continue;
      const position = index - this.fresh.length;
      const page = position < 0 ? this.fresh : this.pages.get(Math.floor(position / PAGE));
      if (page) page[position < 0 ? index : position % PAGE] = row;
    }
    this.onChange(0);
  }

  /** @param {number} page */
  async load(page) {
    const { generation, pages } = this;
    pages.set(page, null);
    try {
      const { rows } = await this.fetchRows({
        before: this.anchor + 1,
        offset: page * PAGE,
        limit: PAGE,
      });
      if (generation !== this.generation || pages !== this.pages) return;
      pages.set(page, rows);
      this.forgetPages(page);
      // The oldest rows may be gone from the server meanwhile.
      const end = this.fresh.length + page * PAGE + rows.length;
      if (rows.length < PAGE && end < this.total) this.total = end;
      this.onChange(0);
    } catch (problem) {
      pages.delete(page);
      this.onProblem(problem);
    }
  }

  /** Count the pages from the newest row: their numbers stay small. */
  moveAnchor() {
    this.anchor = this.newest;
    this.pages = new Map([[0, this.fresh.slice(0, PAGE)]]);
    this.fresh = [];
  }

  /** @param {number} current the page that is shown now */
  forgetPages(current) {
    for (const page of this.pages.keys()) {
      if (this.pages.size <= MAX_PAGES) return;
      if (Math.abs(page - current) > 2) this.pages.delete(page);
    }
  }
}

/**
 * Random work by many clients while things go wrong: the process is killed, stopped and gone on with, ended, its clock
 * jumps, its disk is slow, full or broken. Beside the clients files are imported and undone, copies are taken, rollups compacted,
 * records dropped, streams changed, questions asked, at any moment. After each round everything is held against what must
 * be there (expected.ts), and the process against what it took before.
 *
 * A short run is part of the tests: each fault once. The long one is `TALLYBOOK_FAULT_ROUNDS=200 npx vitest run
 * test/faults/work`; `TALLYBOOK_FAULTS=slow,broken` has those faults alone. The seed is in the test's name; the same seed
 * gives the same work, though not at the same moments. A round whose fault has not happened fails.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../contract/random-work.ts';
import {
  type Allowed,
  type Answer,
  at,
  Client,
  factsDeclaration,
  nothing,
  request,
  Taps,
  tapsDeclaration,
} from './clients.ts';
import { type Content, Expected } from './expected.ts';
import { binary, type Served, serve } from './served.ts';

const seed = Number(process.env['TALLYBOOK_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
const isRoot = process.getuid?.() === 0 && process.platform === 'linux';
/** The calls of another process are meddled with by strace. */
const mayTrace = isRoot && existsSync('/usr/bin/strace');
if (!isRoot) console.warn('SKIPPED: the disk is neither filled, slowed nor broken: that needs root on Linux');
if (isRoot && !mayTrace) {
  const missing =
    'the disk is neither slowed nor broken: there is no /usr/bin/strace, install the package strace';
  if (process.env['TALLYBOOK_TEST_NO_SKIP']) throw new Error(missing);
  console.warn(`SKIPPED: ${missing}`);
}
const all = [
  'kill',
  'none',
  'pause',
  'end',
  'clock',
  'kill',
  // A small file system of its own can be mounted by root alone.
  ...(isRoot ? (['full'] as const) : []),
  ...(mayTrace ? (['slow', 'broken'] as const) : []),
] as const;
type Fault = (typeof all)[number];
const chosen = process.env['TALLYBOOK_FAULTS']?.split(',');
const faults = all.filter((fault) => chosen?.includes(fault) ?? true);
if (faults.length === 0) throw new Error(`TALLYBOOK_FAULTS is ${chosen}; here there are ${all.join(', ')}`);
const rounds = Number(process.env['TALLYBOOK_FAULT_ROUNDS'] ?? faults.length);
/** A fresh ledger every so many rounds: a look at all the books takes longer the more they hold. */
const roundsOfLedger = 16;
const clients = 6;
const options = ['--memory', '300MB', '--systems', 'none'];
/** What a process may hold more than after its first round: as much as its database may. */
const moreMegabytes = 300;
/** Connections of clients are kept alive for a while, and the database keeps what it may. */
const moreFiles = 40;
const endsWithin = 20_000;
const day = 86_400_000;

const root = mkdtempSync(join(tmpdir(), 'tallybook-work-'));
const disk = join(root, 'disk');
const ballast = join(disk, 'ballast');
let ledger: Ledger | undefined;

beforeAll(() => {
  mkdirSync(disk);
  if (isRoot) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=600m', 'tmpfs', disk]);
});
afterAll(async () => {
  await ledger?.served.kill();
  if (isRoot) execFileSync('umount', [disk]);
  rmSync(root, { recursive: true, force: true });
});

test(
  `whatever goes wrong, nothing acknowledged is lost or doubled, and the books are right (seed ${seed}, ${rounds} rounds)`,
  async () => {
    const random = new Random(seed);
    let order: Fault[] = [];
    for (let round = 1; round <= rounds; round++) {
      if (round % roundsOfLedger === 1) {
        await ledger?.served.kill();
        rmSync(join(disk, 'data'), { recursive: true, force: true });
        ledger = await Ledger.open(join(disk, 'data'));
      }
      if (order.length === 0) order = [...faults].sort(() => random.next() - 0.5);
      await ledger!.round(round, order.pop()!, random);
      if (round % 20 === 0) console.info(`${round} rounds: ${JSON.stringify(tally)}`);
    }
    console.info(`seed ${seed}: ${JSON.stringify(tally)}`);
    expect(tally['acknowledged records']).toBeGreaterThan(0);
  },
  60_000 + rounds * 60_000,
);

/** What was done, to be told at the end. */
const tally: Record<string, number> = {};
const count = (what: string, many = 1) => {
  tally[what] = (tally[what] ?? 0) + many;
};
const atMost = (what: string, value: number) => {
  tally[what] = Math.max(tally[what] ?? 0, Math.round(value));
};

interface FileTakenIn {
  rows: number;
  /** What may be there: all of its rows, or none. */
  may: Set<'whole' | 'absent'>;
}

/** A ledger with what must be in it, and the process that serves it. */
class Ledger {
  served: Served;
  readonly #directory: string;
  readonly #expected = new Expected();
  readonly #taps = new Taps();
  readonly #lately: Lately;
  /** By the number of a file, which its records carry. */
  readonly #files = new Map<number, FileTakenIn>();
  /** What was known of at a time, and must be for ever. */
  readonly #known: { at: string; answer: unknown }[] = [];
  /** Of the stream: fields and rollups that it has got on its way, and one more that it may have. */
  #changes = 0;
  #mayHaveChanged = false;
  /** What the process took when it was looked at first. */
  #taken: Taken | undefined;
  #made = 0;

  private constructor(served: Served, directory: string) {
    this.served = served;
    this.#directory = directory;
    this.#lately = new Lately();
  }

  static async open(directory: string): Promise<Ledger> {
    const opened = new Ledger(await serve(directory, ...options), directory);
    await opened.#declare('facts', factsDeclaration);
    await opened.#declare('taps', tapsDeclaration);
    await opened.#declare('lately', lately);
    // Whether a compaction comes before a clock that is put back decides what is dropped: so one does.
    await compact(opened.served.url);
    return opened;
  }

  async round(round: number, fault: Fault, random: Random): Promise<void> {
    const about = `seed ${seed}, round ${round}, ${fault}`;
    count(fault);
    const stop = new AbortController();
    const ends = fault === 'kill' || fault === 'end' || fault === 'broken';
    const allowed: Allowed = { silence: ends, statuses: [], uncertain: [] };
    if (fault === 'full') allowed.statuses.push(507);
    if (fault === 'end') allowed.statuses.push(503);
    if (fault === 'broken') allowed.uncertain.push(500, 503);
    const onlyNew = random.chance(0.5);
    const each = (n: number) => new Random(random.below(2 ** 32) + n);
    const sending = Array.from(
      { length: clients },
      (_, n) =>
        new Client(
          { url: this.served.url, prefix: `${round}-${n}`, onlyNew },
          each(n),
          this.#expected,
          allowed,
        ),
    );
    const working = Promise.all([
      ...sending.map((client) => client.work(stop.signal)),
      this.#taps.work(this.served.url, each(0), allowed, stop.signal),
      this.#ask(each(1), allowed, stop.signal),
      this.#chores(each(0), allowed, stop.signal),
    ]);
    working.catch(() => undefined); // it is awaited in the end
    await sleep(200 + random.below(1_000));
    await this.#goWrong(fault, random, stop, () => sending.some(({ refused }) => refused > 0));
    stop.abort();
    await working;
    rmSync(ballast, { force: true });
    if (allowed.silence) await this.#serveAgain();
    for (const { requests, acknowledged } of sending) {
      count('requests', requests);
      count('acknowledged records', acknowledged);
    }
    await this.#check(about);
    if (fault === 'none') await this.#checkCopies(about);
  }

  /** Makes a fault, and fails when it did not come about. `refused`: whether a client has been told that there is no room. */
  async #goWrong(fault: Fault, random: Random, stop: AbortController, refused: () => boolean): Promise<void> {
    const { served } = this;
    switch (fault) {
      case 'kill':
        await served.kill();
        expect(await served.ended, `it ended before it was killed: ${served.log()}`).toBeNull();
        return;
      case 'end': {
        const ended = served.stop();
        // Whoever is there to be told is told the truth.
        const ready = await request(`${served.url}/readyz`);
        expect([undefined, 503, 200]).toContain(ready?.status);
        expect(await ended, served.log()).toBe(0);
        return;
      }
      case 'pause':
        served.signal('SIGSTOP');
        await sleep(1_000 + random.below(3_000));
        expect([undefined, 'T'], 'it stands still').toContain(stateOf(served.pid));
        served.signal('SIGCONT');
        await sleep(300);
        return;
      case 'clock': {
        const days = random.pick([-400, -3, -1 / 24, 1 / 24, 2, 9]);
        await served.shiftClock(days * day);
        this.#lately.clockShifted(days);
        await sleep(300);
        await compact(served.url);
        await sleep(200);
        return;
      }
      case 'full': {
        // What was under way may give room back when it ends.
        for (let tries = 0; tries < 100 && !refused(); tries++) {
          fillDisk();
          await sleep(100);
        }
        expect(refused(), 'somebody is told that there is no room').toBe(true);
        await sleep(600);
        // What fails to be compacted for want of room must fail alone.
        await request(`${served.url}/v1/admin/compact`, 'POST');
        await sleep(300);
        if (random.chance(0.5)) {
          rmSync(ballast);
          await sleep(300);
        }
        stop.abort();
        return;
      }
      case 'slow': {
        const slow = await meddle(served.pid, 'delay_exit=50000');
        await sleep(1_500);
        count('syncs that were slow', await slow.end());
        return;
      }
      case 'broken': {
        const broken = await meddle(served.pid, 'error=EIO');
        // It finds out by itself that its database is of no use any more, and ends.
        const began = performance.now();
        const code = await Promise.race([served.ended, sleep(endsWithin, 'it goes on', { ref: false })]);
        count('syncs that failed', await broken.end());
        count(`broken: ${code}`);
        atMost('most seconds until it ended', (performance.now() - began) / 1_000);
        expect(code, served.log()).toBe(1);
        return;
      }
      case 'none':
        await sleep(500);
    }
  }

  async #serveAgain(): Promise<void> {
    this.served = await serve(this.#directory, ...options);
    this.#taken = undefined;
    this.#lately.clockShifted(0);
    const { imports } = await this.#json('/v1/imports?page_size=1000');
    const inProgress = imports.filter(({ status }: { status: string }) => status === 'in_progress');
    expect(inProgress, 'what was cut off is marked').toEqual([]);
  }

  /** Files, copies, compactions and changes of the stream, one after the other. */
  async #chores(random: Random, allowed: Allowed, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const chore = random.pick([
        'import',
        'import',
        'undo',
        'compact',
        'backup',
        'change',
        'verify',
      ] as const);
      const went = await {
        import: () => this.#import(random, allowed),
        undo: () => this.#undo(random, allowed),
        compact: () => this.#answered(allowed, '/v1/admin/compact', 'POST'),
        backup: () => this.#backUp(allowed),
        change: () => this.#change(allowed),
        verify: () => this.#verify(allowed),
      }[chore]();
      if (!went) return;
      count(chore);
      await sleep(random.below(300));
    }
  }

  /** The answer; undefined when there is none, and none was to be expected. */
  async #answered(
    allowed: Allowed,
    path: string,
    method = 'GET',
    body?: string,
  ): Promise<Answer | undefined> {
    const answer = await request(this.served.url + path, method, body);
    if (!answer || allowed.uncertain.includes(answer.status)) {
      expect(allowed.silence, `${method} ${path}: the server went away`).toBe(true);
      return undefined;
    }
    if (!allowed.statuses.includes(answer.status))
      expect(
        answer.status,
        `${method} ${path}: ${JSON.stringify(answer.body)}\n${this.served.log()}`,
      ).toBeLessThan(300);
    return answer;
  }

  async #import(random: Random, allowed: Allowed): Promise<boolean> {
    const number = ++this.#made;
    const rows = random.pick([10, 400, 3_000]);
    const lines = ['id,at,kind,cents,file'];
    for (let n = 0; n < rows; n++) lines.push(`file-${number}-${n},${at(n % 10)},f,${n % 100},${number}`);
    this.#files.set(number, { rows, may: new Set(['whole', 'absent']) });
    const path = `${this.served.url}/v1/imports?stream=facts&name=${number}.csv&wait=60`;
    const answer = await request(path, 'POST', lines.join('\n'), { 'content-type': 'text/csv' });
    if (!answer || allowed.uncertain.includes(answer.status)) {
      expect(allowed.silence, 'the server went away').toBe(true);
      return false;
    }
    const { status } = answer.body;
    if (status === 'done') this.#files.get(number)!.may.delete('absent');
    else {
      // Refused as a whole, or cut off by the end, or without room.
      expect(allowed.statuses.length, JSON.stringify(answer.body)).toBeGreaterThan(0);
      if (status === 'failed' || allowed.statuses.includes(answer.status))
        this.#files.get(number)!.may.delete('whole');
    }
    return true;
  }

  async #undo(random: Random, allowed: Allowed): Promise<boolean> {
    const whole = [...this.#files].filter(([, { may }]) => may.size === 1 && may.has('whole'));
    if (whole.length === 0) return true;
    const [number, file] = random.pick(whole);
    const list = await this.#answered(allowed, '/v1/imports?page_size=1000');
    if (list?.status !== 200) return list !== undefined;
    const { id } = list.body.imports.find(({ name }: { name: string }) => name === `${number}.csv`);
    file.may = new Set(['whole', 'absent']);
    const undone = await this.#answered(allowed, `/v1/imports/${id}`, 'DELETE');
    if (undone) file.may = new Set([undone.status === 200 ? 'absent' : 'whole']);
    return undone !== undefined;
  }

  /** Copies that were taken while there was work, with what they may hold. */
  #copies: { directory: string; may: Map<string, Set<Content>> }[] = [];

  async #backUp(allowed: Allowed): Promise<boolean> {
    const directory = mkdtempSync(join(root, 'copy-'));
    const watch = this.#expected.watch();
    const answer = await this.#answered(allowed, '/v1/admin/backup', 'POST', JSON.stringify({ directory }));
    watch.end();
    for (const { directory } of this.#copies) rmSync(directory, { recursive: true, force: true });
    this.#copies = answer?.status === 200 ? [{ directory, may: watch.may }] : [];
    if (answer?.status !== 200) rmSync(directory, { recursive: true, force: true });
    return answer !== undefined;
  }

  async #change(allowed: Allowed): Promise<boolean> {
    if (this.#changes >= 8) return true;
    const declaration = changed(this.#changes + 1);
    this.#mayHaveChanged = true;
    const answer = await this.#answered(allowed, '/v1/streams/facts', 'PUT', JSON.stringify(declaration));
    if (answer) this.#mayHaveChanged = false;
    if (answer?.status === 200) this.#changes++;
    return answer !== undefined;
  }

  async #verify(allowed: Allowed): Promise<boolean> {
    const answer = await this.#answered(allowed, '/v1/admin/verify', 'POST');
    if (answer?.status === 200)
      expect(answer.body.checks.filter(({ ok }: { ok: boolean }) => !ok)).toEqual([]);
    return answer !== undefined;
  }

  /** Everything that was acknowledged is in the next answer; and the rollup and the ledger never differ. */
  async #ask(random: Random, allowed: Allowed, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const least = this.#taps.answered;
      const taps = await this.#answered(allowed, '/v1/streams/taps/query?measures=sum(taps)');
      if (!taps) return;
      if (taps.status === 200) {
        const sum = Number(taps.body.rows[0]['sum(taps)']);
        expect(sum).toBeGreaterThanOrEqual(least);
        expect(sum).toBeLessThanOrEqual(this.#taps.most);
      }
      const sums = '/v1/streams/facts/query?by=kind&every=day&order=kind,day&measures=count,sum(cents)';
      const kept = await this.#answered(allowed, sums);
      if (!kept) return;
      if (kept.status === 200) {
        expect(kept.body.from).toBe('rollup daily');
        const known = `&known_at=${encodeURIComponent(kept.body.as_of.recorded_at)}`;
        const counted = await this.#answered(allowed, sums + known);
        if (!counted) return;
        if (counted.status === 200) expect(counted.body.rows).toEqual(kept.body.rows);
      }
      count('question');
      await sleep(random.below(200));
    }
  }

  async #declare(name: string, declaration: object): Promise<void> {
    const answer = await request(`${this.served.url}/v1/streams/${name}`, 'PUT', JSON.stringify(declaration));
    expect(answer?.status, JSON.stringify(answer)).toBeLessThan(300);
  }

  // biome-ignore lint/suspicious/noExplicitAny: what tests look into is any JSON
  async #json(path: string, method = 'GET', body?: string): Promise<any> {
    const answer = await request(this.served.url + path, method, body);
    expect(answer?.status, `${method} ${path}: ${JSON.stringify(answer)}\n${this.served.log()}`).toBe(200);
    return answer!.body;
  }

  /** Nothing is under way, nothing goes wrong: everything must be as it is expected. */
  async #check(about: string): Promise<void> {
    expect((await request(`${this.served.url}/readyz`))?.status, about).toBe(200);
    await this.#taps.settle(this.served.url);
    const { rows } = await this.#json('/v1/streams/taps/query?measures=count,sum(taps)');
    expect(rows, about).toEqual([{ count: this.#taps.answered, 'sum(taps)': String(this.#taps.answered) }]);

    const standing = await standingFacts(this.served.url);
    this.#expected.found(standing, about);
    await this.#checkFiles(about);
    await this.#checkSums(standing, about);
    await this.#checkRejects(about);
    await this.#lately.check(this.served.url, about);
    await this.#checkChanges(about);
    for (const { at, answer } of this.#known)
      expect(await this.#sums(`&known_at=${encodeURIComponent(at)}`), `${about}: known at ${at}`).toEqual(
        answer,
      );
    expect(await this.#verify(nothing)).toBe(true);
    expect(this.served.log(), about).not.toContain('TALLYBOOK_VERDICT');
    await this.#checkTaken(about);
  }

  async #checkFiles(about: string): Promise<void> {
    const { rows } = await this.#json('/v1/streams/facts/query?where=kind=f&by=file&measures=count');
    const found = new Map(
      rows.map(({ file, count }: { file: string; count: number }) => [Number(file), count]),
    );
    const { imports } = await this.#json('/v1/imports?page_size=1000');
    for (const [number, file] of this.#files) {
      const stands = found.get(number) ?? 0;
      expect([0, file.rows], `${about}: file ${number}`).toContain(stands);
      const is = stands === 0 ? 'absent' : 'whole';
      expect([...file.may], `${about}: file ${number}`).toContain(is);
      const told = imports.find(({ name }: { name: string }) => name === `${number}.csv`)?.status;
      expect(
        is === 'whole' ? ['done'] : ['failed', 'undone', undefined],
        `${about}: file ${number}`,
      ).toContain(told);
      file.may = new Set([is]);
    }
  }

  async #checkSums(standing: ReadonlyMap<string, Content>, about: string): Promise<void> {
    const sums = new Map<string, { count: number; cents: number }>();
    const add = (day: string, kind: string, cents: number) => {
      const sum = sums.get(`${kind} ${at(Number(day)).slice(0, 10)}`) ?? { count: 0, cents: 0 };
      sums.set(`${kind} ${at(Number(day)).slice(0, 10)}`, { count: sum.count + 1, cents: sum.cents + cents });
    };
    for (const content of standing.values()) {
      const [day, kind, cents] = content!.split('|');
      add(day!, kind!, Number(cents));
    }
    for (const { rows, may } of this.#files.values())
      if (may.has('whole')) for (let n = 0; n < rows; n++) add(String(n % 10), 'f', n % 100);
    const expected = [...sums].map(([key, { count, cents }]): [string, number, string] => [
      key,
      count,
      String(cents),
    ]);
    expected.sort(([a], [b]) => (a < b ? -1 : 1));
    const asked = await this.#sums('');
    expect(asked, about).toEqual(expected);
    // The smallest value is asked of the ledger.
    const ofLedger = await this.#json(`${sumsOfFacts},min(cents)`);
    expect(ofLedger.from, about).toBe('ledger');
    expect(ofLedger.rows.map(sumsOfRow), about).toEqual(expected);
    this.#known.push({ at: ofLedger.as_of.recorded_at, answer: expected });
    if (this.#known.length > 6) this.#known.splice(1, 1);
  }

  async #sums(more: string): Promise<unknown> {
    return (await this.#json(sumsOfFacts + more)).rows.map(sumsOfRow);
  }

  async #checkRejects(about: string): Promise<void> {
    const { groups } = await this.#json('/v1/rejects?stream=facts&group_by=stream');
    const found = groups[0]?.count ?? 0;
    const [least, most] = this.#expected.rejects;
    expect(found, `${about}: rejects`).toBeGreaterThanOrEqual(least);
    expect(found, `${about}: rejects`).toBeLessThanOrEqual(most);
    this.#expected.rejects = [found, found];
  }

  /** A field and a rollup that came later: the rollup counts what was there before it. */
  async #checkChanges(about: string): Promise<void> {
    const { declaration } = await this.#json('/v1/streams/facts');
    const found = Object.keys(declaration.rollups).length - 1;
    const may = this.#mayHaveChanged ? [this.#changes, this.#changes + 1] : [this.#changes];
    expect(may, about).toContain(found);
    [this.#changes, this.#mayHaveChanged] = [found, false];
    if (found === 0) return;
    const monthly = await this.#json(
      `/v1/streams/facts/query?by=later_${found}&every=month&measures=count,sum(cents)`,
    );
    expect(monthly.from, about).toBe(`rollup monthly_${found}`);
    const { rows } = await this.#json('/v1/streams/facts/query?measures=count,sum(cents)');
    const { count, 'sum(cents)': sum } = rows[0];
    expect(monthly.rows.map(({ count, 'sum(cents)': sum }: Record<string, unknown>) => [count, sum])).toEqual(
      count === 0 ? [] : [[count, sum]],
    );
  }

  /** A copy, put elsewhere, is a ledger of its own, as it was at one moment while it was taken. */
  async #checkCopies(about: string): Promise<void> {
    for (const { directory, may } of this.#copies.splice(0)) {
      const elsewhere = join(root, 'elsewhere');
      await promisify(execFile)(process.execPath, [binary, 'restore', directory, '--data', elsewhere]);
      const restored = await serve(elsewhere, ...options);
      try {
        const standing = await standingFacts(restored.url);
        for (const id of standing.keys()) expect(may.has(id), `${about}: ${id} in a copy`).toBe(true);
        for (const [id, contents] of may)
          expect([...contents], `${about}: ${id} in a copy`).toContain(standing.get(id));
        const { body } = (await request(`${restored.url}/v1/admin/verify`, 'POST'))!;
        expect(body.checks.filter(({ ok }: { ok: boolean }) => !ok)).toEqual([]);
        count('copy restored');
      } finally {
        await restored.kill();
        rmSync(elsewhere, { recursive: true, force: true });
        rmSync(directory, { recursive: true, force: true });
      }
    }
  }

  /** Of a process that goes on, memory and open files come back to about where they were: at once, or a while later. */
  async #checkTaken(about: string): Promise<void> {
    const taken = takenBy(this.served.pid);
    if (!taken) return;
    this.#taken ??= taken;
    atMost('most megabytes', taken.megabytes);
    atMost('most megabytes more', taken.megabytes - this.#taken.megabytes);
    atMost('most open files', taken.files);
    const [mostFiles, mostMegabytes] = [this.#taken.files + moreFiles, this.#taken.megabytes + moreMegabytes];
    await expect
      .poll(() => takenBy(this.served.pid)!.files, {
        timeout: 20_000,
        message: `${about}: open files, ${this.#taken.files} before`,
      })
      .toBeLessThan(mostFiles);
    await expect
      .poll(() => takenBy(this.served.pid)!.megabytes, {
        timeout: 20_000,
        message: `${about}: megabytes, ${this.#taken.megabytes} before`,
      })
      .toBeLessThan(mostMegabytes);
  }
}

const sumsOfFacts = '/v1/streams/facts/query?by=kind&every=day&order=kind,day&measures=count,sum(cents)';
const sumsOfRow = (row: Record<string, unknown>) => [
  `${row['kind']} ${row['day']}`,
  row['count'],
  row['sum(cents)'],
];

function changed(times: number): object {
  const { fields, rollups } = factsDeclaration;
  const more = { ...fields } as Record<string, object>;
  const moreRollups = { ...rollups } as Record<string, object>;
  for (let n = 1; n <= times; n++) {
    more[`later_${n}`] = { type: 'text' };
    moreRollups[`monthly_${n}`] = { every: 'month', by: [`later_${n}`], sum: ['cents'] };
  }
  return { ...factsDeclaration, fields: more, rollups: moreRollups };
}

async function compact(url: string): Promise<void> {
  const compacted = await request(`${url}/v1/admin/compact`, 'POST');
  expect(compacted?.status, JSON.stringify(compacted)).toBe(200);
}

/** What the clients have sent, and not the files. */
async function standingFacts(url: string): Promise<Map<string, Content>> {
  const standing = new Map<string, Content>();
  let cursor = '';
  do {
    const path = `/v1/streams/facts/records?where=${encodeURIComponent('kind in a,b,s')}&page_size=1000`;
    const page = await request(url + path + cursor);
    expect(page?.status, JSON.stringify(page?.body)).toBe(200);
    for (const { id, record } of page!.body.records) {
      expect(standing.has(id), `${id} stands twice`).toBe(false);
      const day = Number(record.at.slice(8, 10)) - 10;
      standing.set(id, `${day}|${record.kind}|${record.cents}`);
    }
    cursor = page!.body.next ? `&cursor=${encodeURIComponent(page!.body.next)}` : '';
  } while (cursor !== '');
  return standing;
}

/** A stream that keeps its records for a while, under a clock that jumps. It is written to while nothing goes wrong. */
const lately = {
  id: 'id',
  time: 'at',
  fields: {
    id: { type: 'text', required: true },
    at: { type: 'timestamp', required: true },
    cents: { type: 'integer', required: true },
  },
  rollups: { total: { every: 'all', sum: ['cents'] } },
  retention: { records: '30 days' },
};
class Lately {
  readonly #start = Date.now();
  /** Of its clock against that of the machine, now. */
  #days = 0;
  /** Records before it are gone, and come in no more: days from the start. */
  #droppedBefore = -30;
  readonly #standing: number[] = [];
  #accepted = 0;
  #sent = 0;

  clockShifted(days: number): void {
    this.#days = days;
  }

  async check(url: string, about: string): Promise<void> {
    await compact(url);
    this.#droppedBefore = Math.max(this.#droppedBefore, this.#days - 30);
    const gone = this.#standing.filter((day) => day < this.#droppedBefore);
    // Never at the edge, where the time that a test takes would decide.
    const days = [-80, -50, -35.5, -29.5, -27.5, -24.5, -20.5, -10, 0].filter(
      (day) => Math.abs(day - this.#droppedBefore) > 0.01,
    );
    const lines = days.map((day) => {
      const time = new Date(this.#start + day * 86_400_000).toISOString();
      return JSON.stringify({ id: `l${this.#sent++}`, at: time, cents: 7 });
    });
    const answer = await request(`${url}/v1/streams/lately/records?verdicts=all`, 'POST', lines.join('\n'), {
      'content-type': 'application/x-ndjson',
    });
    const codes = answer!.body.verdicts.map(({ verdict, code }: { verdict: string; code?: string }) =>
      code === undefined ? verdict : code,
    );
    expect(codes, about).toEqual(days.map((day) => (day < this.#droppedBefore ? 'too_old' : 'accepted')));
    const standing = this.#standing.filter((day) => !gone.includes(day));
    for (const day of days)
      if (day >= this.#droppedBefore) {
        standing.push(day);
        this.#accepted++;
      }
    this.#standing.splice(0, this.#standing.length, ...standing);
    const sums = await request(`${url}/v1/streams/lately/query?measures=count,sum(cents)`);
    expect(sums!.body.rows, about).toEqual([
      { count: this.#accepted, 'sum(cents)': String(7 * this.#accepted) },
    ]);
    const listed = await request(`${url}/v1/streams/lately/records?page_size=1000`);
    expect(listed!.body.records.length, about).toBe(this.#standing.length);
    count('records dropped', gone.length);
  }
}

interface Taken {
  megabytes: number;
  files: number;
}

/** Undefined where there is no /proc. */
function takenBy(pid: number): Taken | undefined {
  try {
    const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
    return { megabytes: Number(kilobytes) / 1024, files: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return undefined;
  }
}

/** Of a process, as Linux has it: T is stopped. Undefined where there is no /proc. */
function stateOf(pid: number): string | undefined {
  try {
    return /State:\s+(\w)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1];
  } catch {
    return undefined;
  }
}

function fillDisk(): void {
  const { bavail, bsize } = statfsSync(disk);
  try {
    appendFileSync(ballast, Buffer.alloc(bavail * bsize));
  } catch {
    // Somebody was quicker; it is full all the same.
  }
}

/**
 * From now on every sync of a process takes longer (`delay_exit`, in microseconds), or fails, until it ends: then it tells
 * how many there were, and fails when there was none.
 */
async function meddle(pid: number, how: string): Promise<{ end: () => Promise<number> }> {
  const calls = join(root, `strace-${pid}`);
  const syncs = ['-e', 'trace=fsync,fdatasync', '-e', `inject=fsync,fdatasync:${how}`];
  const child = spawn('strace', ['-f', '-qq', '-o', calls, ...syncs, '-p', String(pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let told = '';
  child.stderr.on('data', (chunk: Buffer) => {
    told += chunk;
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  for (let tries = 0; !isTraced(pid); tries++) {
    if (child.exitCode !== null || tries === 100) expect.fail(`strace is not attached: ${told}`);
    await sleep(50);
  }
  return {
    end: async () => {
      child.kill('SIGINT');
      await ended;
      const met = readFileSync(calls, 'latin1').match(/\((INJECTED|DELAYED)\)$/gm)?.length ?? 0;
      expect(met, `syncs that were met by ${how}; strace: ${told}`).toBeGreaterThan(0);
      return met;
    },
  };
}

/** Whether strace watches all of its threads; one that has ended needs no watching any more. */
function isTraced(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) =>
      /TracerPid:\s+[1-9]/.test(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')),
    );
  } catch {
    return false;
  }
}

/**
 * A building that is made, and the passages of its sensors. Sensor n faces one space, those of a space are numbered one
 * after the other; behind every fifth is the outside, behind the others the next space. Every second space is set to 0
 * each night at 04:00; one sensor in a hundred was moved to the next space in the night of the tenth day.
 *
 * Passages lie in 30 days, nearly in the order of their times, as sensors report them: up to half a minute late.
 */
export const DAYS = 30;
export const FIRST_DAY = Date.UTC(2026, 9, 1);
const DAY = 86_400_000;
export const MOVED_AT = '2026-10-10T22:00:00Z';
const NIGHT = 4 * 3_600_000;

export function makeBuilding({ sensors, spaces }) {
  const perSpace = Math.max(1, Math.floor(sensors / spaces));
  const spaceOf = (sensor) => (Math.floor((sensor - 1) / perSpace) % spaces) + 1;
  const next = (space) => (space % spaces) + 1;
  const behindOf = (sensor) => (sensor % 5 === 0 ? null : next(spaceOf(sensor)));
  const isReset = (space) => space % 2 === 0;
  const assignments = [];
  for (let sensor = 1; sensor <= sensors; sensor++) {
    const faces = spaceOf(sensor);
    const behind = behindOf(sensor);
    const one = {
      id: `${sensor}`,
      dpu_id: sensor,
      faces: `s${faces}`,
      behind: behind && `s${behind}`,
      from: '2026-01-01T00:00:00Z',
    };
    assignments.push(one);
    if (sensor % 100 === 0)
      assignments.push({
        ...one,
        id: `${sensor}-moved`,
        faces: `s${next(faces)}`,
        behind: null,
        from: MOVED_AT,
      });
  }
  return {
    assignments,
    spaces: Array.from({ length: spaces }, (_, n) => ({ id: `s${n + 1}`, capacity: 50 })),
    rules: Array.from({ length: spaces }, (_, n) => n + 1)
      .filter(isReset)
      .map((space) => ({ id: `r${space}`, space_id: `s${space}`, local_time: '04:00' })),
    /** A night's reset at or before an instant, in milliseconds. */
    lastReset: (space, at) => (isReset(space) ? Math.floor((at - NIGHT) / DAY) * DAY + NIGHT : undefined),
  };
}

/** SQL of the passages of one day (from 0), number `from` to `to` of all. */
export function passagesOfDay(day, passages, sensors) {
  const perDay = Math.floor(passages / DAYS);
  const step = (DAY * 1_000) / perDay;
  return `select 'p' || i as id,
      timestamp '2026-10-01' + to_days(${day}) + to_microseconds((least(${DAY * 1_000 - 1}, (i - ${day * perDay}) * ${step} + hash(i * 7) % 30000000))::bigint) as "timestamp",
      if(hash(i * 3) % 2 = 0, 1, -1)::bigint as direction,
      (hash(i) % ${sensors} + 1)::bigint as dpu_id
    from range(${day * perDay}, ${(day + 1) * perDay}) made(i)`;
}

/** A table of steps of people into spaces and out of them, from a table of passages and one of assignments. */
export const STEPS = `
  select s.space, p."timestamp" as passed, p.direction * s.side as delta from passages p join (
    select dpu_id, faces as space, 1 as side, "from", "to" from spans where faces is not null
    union all select dpu_id, behind, -1, "from", "to" from spans where behind is not null
  ) s on s.dpu_id = p.dpu_id and p."timestamp" >= s."from" and p."timestamp" < s."to"`;

/** Where each sensor hung from when to when, as SQL: the second assignment of one ends the first. */
export function spansSql(path) {
  return `select dpu_id, faces, behind, "from"::timestamp as "from",
      coalesce(lead("from"::timestamp) over (partition by dpu_id order by "from"), timestamp '9999-01-01') as "to"
    from read_json('${path}', columns = {id: 'varchar', dpu_id: 'bigint', faces: 'varchar', behind: 'varchar', "from": 'varchar'})`;
}

/** Space and instant of asking number n: spread over all spaces and times. */
export function askingOf(n, spaces) {
  const at = FIRST_DAY + ((n * 7_368_787 * 61 + 12_345) % (DAYS * DAY));
  return { space: ((n * 7_919) % spaces) + 1, at };
}

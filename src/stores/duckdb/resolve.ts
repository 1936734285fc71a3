/**
 * Verdicts by id: what a staged record means, given what stands before it.
 *
 * Only suspects are looked at: records whose hash may be known already, or occurs twice in the part; all others
 * are new. The answer is set-wise, for one record as for millions, because a part has one mode:
 *  - insert: the first record of an id is accepted unless one stands; the others are held against what stands;
 *  - upsert: each record is held against the one before it in the part, the first against what stands;
 *  - retract: the first takes back what stands, the others come too late.
 *
 * Tables of a part: stage (stage.ts), suspects (_hash, and whether it may occur twice in the part), known (the entries with a suspect's hash; for a file, which
 * may have as many suspects as the ledger has entries, the ledger itself), resolved
 * (a row for each suspect that is well-formed: its verdict, and the record it was held against: the entry
 * `prev_seq`, or the row `prev_n` of the same part).
 */
import type { Mode } from '../../engine/store.ts';
import type { Stream } from '../../engine/stream.ts';
import { columnList, entriesOf, quote, sqlType, storedFields } from './names.ts';

export interface PartTables {
  stage: string;
  /** The column that numbers the rows of the stage: `_n`, or `rowid` for files. */
  n: string;
  suspects: string;
  known: string;
  resolved: string;
}

export function knownTable(stream: Stream, name: string): string {
  const fields = storedFields(stream).map((field) => `, ${quote(field.name)} ${sqlType(field)}`);
  return `create or replace temp table ${name} (_seq bigint, _sign tinyint, _reverses bigint, _hash ubigint, _id varchar${fields.join('')})`;
}

export const resolvedColumns = '(_n integer, verdict varchar, prev_seq bigint, prev_n integer)';

/** The entries that fit a condition, as the table of known ones has them. */
export function knownSelect(stream: Stream, condition: string): string {
  const fields = storedFields(stream);
  return `select _seq, _sign, _reverses, _hash, _id${fields.length > 0 ? `, ${columnList(fields)}` : ''}
    from ${entriesOf(stream)} where ${condition}`;
}

/** Whether two rows hold the same content, field by field. */
function same(stream: Stream, a: string, b: string): string {
  const fields = storedFields(stream).map(
    (field) => `${a}.${quote(field.name)} is not distinct from ${b}.${quote(field.name)}`,
  );
  return fields.length > 0 ? `(${fields.join(' and ')})` : 'true';
}

export interface ResolveOptions {
  /** A condition on `_hash`, so that a part of any size can be resolved a slice at a time, in bounded memory. */
  slice?: string;
  /** All rows are suspects; then the table of them lists only those that occur twice. */
  everyRow?: boolean;
  /** No hash occurs twice in the part. */
  noRepeats?: boolean;
  /** The ledger has taken nothing back in this stream: every entry stands. */
  noReversals?: boolean;
}

export function resolvedSelect(
  stream: Stream,
  mode: Mode,
  tables: PartTables,
  { slice = 'true', everyRow = false, noRepeats = false, noReversals = false }: ResolveOptions = {},
): string {
  const { stage, suspects, known, n } = tables;
  // To take back is a verdict for every record, so there all are suspects.
  const among =
    everyRow || mode === 'retract' ? '' : `and _hash in (select _hash from ${suspects} where ${slice})`;
  const taken = noReversals ? '' : `and _seq not in (select _reverses from ${known} where _sign = -1)`;
  const suspected = `
    suspected as (
      select ${n} as _row, * from ${stage} where ${slice} and _bad is null ${among}),
    standing as (select * from ${known} where ${slice} and _sign = 1 ${taken})`;
  const sameId = (a: string, b: string) => `${a}._hash = ${b}._hash and ${a}._id = ${b}._id`;
  if (mode !== 'retract' && noRepeats) {
    const other = mode === 'insert' ? 'conflict' : 'corrected';
    return `with ${suspected}
      select t._row,
        case when s._seq is null then 'accepted' when ${same(stream, 't', 's')} then 'duplicate' else '${other}' end,
        s._seq, null::integer
      from suspected t left join standing s on ${sameId('s', 't')}`;
  }
  if (mode === 'insert') {
    return `with ${suspected},
      firsts as (
        select _hash, _id, min(_row) as _first from suspected
        where _hash in (select _hash from ${suspects} where repeated)
        group by _hash, _id having count(*) > 1)
      select t._row,
        case
          when s._seq is not null then case when ${same(stream, 't', 's')} then 'duplicate' else 'conflict' end
          when t._row = coalesce(f._first, t._row) then 'accepted'
          when ${same(stream, 't', 'o')} then 'duplicate'
          else 'conflict'
        end as verdict,
        s._seq as prev_seq,
        case when s._seq is null and t._row <> f._first then f._first end as prev_n
      from suspected t
      left join standing s on ${sameId('s', 't')}
      left join firsts f on ${sameId('f', 't')}
      left join suspected o on o._row = f._first and o._hash = t._hash`;
  }
  if (mode === 'upsert') {
    return `with ${suspected},
      numbered as (select *, lag(_row) over (partition by _hash, _id order by _row) as _before from suspected),
      judged as (
        select t._row, t._hash, t._id, s._seq as standing_seq,
          case
            when b._row is not null then case when ${same(stream, 't', 'b')} then 'duplicate' else 'corrected' end
            when s._seq is null then 'accepted'
            when ${same(stream, 't', 's')} then 'duplicate'
            else 'corrected'
          end as verdict
        from numbered t
        left join standing s on ${sameId('s', 't')}
        left join suspected b on b._row = t._before),
      chained as (
        select *, max(case when verdict <> 'duplicate' then _row end) over (
          partition by _hash, _id order by _row rows between unbounded preceding and 1 preceding) as changed_n
        from judged)
      select _row, verdict, case when changed_n is null then standing_seq end as prev_seq, changed_n as prev_n
      from chained`;
  }
  return `with ${suspected},
    numbered as (select *, min(_row) over (partition by _hash, _id) as _first from suspected),
    latest as (
      select _hash, _id, max(_seq) as seq from ${known} where ${slice} group by all)
    select t._row,
      case
        when s._seq is not null and t._row = t._first then 'retracted'
        when k.seq is not null then 'duplicate'
        else 'not_found'
      end as verdict,
      coalesce(s._seq, k.seq) as prev_seq,
      null::integer as prev_n
    from numbered t
    left join standing s on ${sameId('s', 't')}
    left join latest k on ${sameId('k', 't')}`;
}

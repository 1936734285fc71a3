/** The options that select records: the same for questions, lists, exports and explanations. */
import type { Option } from 'commander';
import { setting } from './config.ts';
import type { Query } from './connection.ts';

export interface Selection {
  where?: string[];
  from?: string;
  to?: string;
  tz?: string;
  knownAt?: string;
}

export function selectionSettings(): Option[] {
  return [
    setting(
      '--where <condition>',
      'only records such as type=data, "price>=10", "type in data,voice", "name like a%"; may be repeated',
      { repeat: true },
    ),
    setting('--from <time>', 'from this time on: a timestamp, or a date (midnight in --tz)'),
    setting('--to <time>', 'up to this time, without it'),
    setting('--tz <zone>', 'time zone such as Europe/Madrid; UTC when not given'),
    setting('--known-at <time>', 'as the ledger knew it then'),
  ];
}

export function selectionQuery({ where, from, to, tz, knownAt }: Selection): Query {
  return { where, from, to, tz, known_at: knownAt };
}

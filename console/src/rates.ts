/**
 * How fast records come in, from the counters of /metrics: asked once a second, however much happens between two, and
 * only while somebody looks.
 */
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { send } from './api.ts';

export interface Sample {
  at: number;
  commits: number;
  commitSeconds: number;
  /** By stream, and then by verdict. */
  verdicts: Map<string, Map<string, number>>;
  waiting: number;
  imports: number;
}

export interface Rates {
  at: number;
  /** Records a second, by verdict. */
  verdicts: Record<string, number>;
  /** Records a second, by stream. */
  streams: Map<string, number>;
  commits: number;
  /** Milliseconds a commit took on average; undefined when there was none. */
  commitMilliseconds: number | undefined;
}

const line = /^(tallybook_\w+)(?:\{(.*)\})? (\S+)$/;

export function readMetrics(text: string, at: number): Sample {
  const sample: Sample = { at, commits: 0, commitSeconds: 0, verdicts: new Map(), waiting: 0, imports: 0 };
  for (const written of text.split('\n')) {
    const [, name, labels = '', figure] = line.exec(written) ?? [];
    const value = Number(figure);
    if (name === 'tallybook_commit_seconds_count') sample.commits = value;
    else if (name === 'tallybook_commit_seconds_sum') sample.commitSeconds = value;
    else if (name === 'tallybook_waiting_records') sample.waiting = value;
    else if (name === 'tallybook_imports_in_progress') sample.imports = value;
    else if (name === 'tallybook_verdicts_total') {
      const stream = /stream="([^"]*)"/.exec(labels)![1]!;
      const verdict = /verdict="([^"]*)"/.exec(labels)![1]!;
      // What the ledger writes about itself is not what comes in.
      if (stream.startsWith('_')) continue;
      const of = sample.verdicts.get(stream) ?? new Map<string, number>();
      sample.verdicts.set(stream, of.set(verdict, value));
    }
  }
  return sample;
}

export function ratesBetween(before: Sample, after: Sample): Rates {
  const seconds = Math.max((after.at - before.at) / 1000, 0.001);
  const verdicts: Record<string, number> = {};
  const streams = new Map<string, number>();
  for (const [stream, counts] of after.verdicts) {
    for (const [verdict, count] of counts) {
      // Counters start anew with the process.
      const rate = Math.max(count - (before.verdicts.get(stream)?.get(verdict) ?? 0), 0) / seconds;
      verdicts[verdict] = (verdicts[verdict] ?? 0) + rate;
      streams.set(stream, (streams.get(stream) ?? 0) + rate);
    }
  }
  const commits = Math.max(after.commits - before.commits, 0);
  const took = Math.max(after.commitSeconds - before.commitSeconds, 0);
  return {
    at: after.at,
    verdicts,
    streams,
    commits: commits / seconds,
    commitMilliseconds: commits > 0 ? (took / commits) * 1000 : undefined,
  };
}

const samplesKept = 121;

/** The last two minutes, second by second. */
export function useRates() {
  const [samples, setSamples] = useState<Sample[]>([]);
  const query = useQuery({
    queryKey: ['/metrics'],
    queryFn: async ({ signal }) =>
      readMetrics(await (await send('GET', '/metrics', { signal })).text(), Date.now()),
    refetchInterval: 1_000,
    staleTime: 0,
    gcTime: 0,
  });
  const { data } = query;
  useEffect(() => {
    if (data) setSamples((before) => [...before, data].slice(-samplesKept));
  }, [data]);
  const rates = samples.slice(1).map((sample, at) => ratesBetween(samples[at]!, sample));
  return { query, rates, latest: samples.at(-1) };
}

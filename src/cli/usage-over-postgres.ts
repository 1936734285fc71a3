/** `serve --usage postgres://…`: the figures of usage from a rollup that `tallybook postgres install` made there. */
import { TallybookError } from '../engine/errors.ts';
import { askKept } from '../postgres/ask.ts';
import { findInstalled, type Installed } from '../postgres/installation.ts';
import { shown } from '../postgres/names.ts';
import type { RouteRequest } from '../systems/system.ts';
import { usageStream } from '../systems/usage/streams.ts';
import { connectPostgres, postgresPool } from './postgres-connection.ts';

export interface UsageElsewhere {
  /** For people: `postgres://host:5432/shop`. */
  place: string;
  relations: string[];
  ask: RouteRequest['ask'];
  close(): Promise<void>;
}

/** Throws `bad_settings` where there is no such rollup. */
export async function usageOverPostgres(url: string): Promise<UsageElsewhere> {
  const postgres = await connectPostgres(url, '--usage');
  let installed: Installed[];
  try {
    installed = (await findInstalled(postgres)).filter(({ stream }) => stream.name === usageStream.name);
  } finally {
    await postgres.close();
  }
  const usable = installed.filter((one) => whyNot(one) === undefined);
  if (usable.length === 0) {
    const found =
      installed.map((one) => `${shown(one.relation)} ${whyNot(one)}`).join('; ') || 'there is none of usage';
    throw new TallybookError(
      'bad_settings',
      `${postgres.place} has no rollup that answers for usage (${found}); make one with tallybook postgres install usage`,
    );
  }
  const pool = await postgresPool(url);
  const ask = askKept(pool, usageStream, usable);
  return {
    place: postgres.place,
    relations: usable.map(({ relation }) => shown(relation)),
    ask: (_stream, question) => ask(question),
    close: () => pool.end(),
  };
}

/** Why a rollup cannot answer what the addresses of usage are asked. */
function whyNot({ stream, strategy }: Installed): string | undefined {
  if (strategy === 'materialized') return 'is as old as its last refresh, which nobody can tell';
  const [rollup] = stream.rollups;
  const has = [...rollup!.by, ...rollup!.sum].map(({ name, type }) => `${name} ${type}`);
  const wanted = ['subscription_id', 'type', 'price', 'used'].map(
    (name) => `${name} ${usageStream.field(name)!.type}`,
  );
  const missing = wanted.filter((field) => !has.includes(field));
  return missing.length === 0 ? undefined : `has no ${missing.join(', ')}`;
}

/**
 * What `deploy/` names exists: paths, options and variables, ports, routes, metrics. Images cannot be built where tests
 * run; so the Dockerfile is read.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command, Option } from 'commander';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { variableOf } from '../../src/cli/config.ts';
import { program } from '../../src/cli/main.ts';
import { logAddress } from '../../src/nats/address.ts';
import { openApp } from '../http/open-app.ts';
import { filesIn, read, root } from '../tidy/source-files.ts';

const files = filesIn('deploy');
const yamls = files.filter((path) => path.endsWith('.yaml'));

// biome-ignore lint/suspicious/noExplicitAny: what tests look into is any document
type Any = any;

function documents(path: string): Any[] {
  return parseAllDocuments(read(path), { merge: true }).map((document) => {
    expect(document.errors, path).toEqual([]);
    return document.toJS();
  });
}

/** Every object in a document, itself included. */
function* objects(value: Any): Generator<Any> {
  if (value === null || typeof value !== 'object') return;
  if (!Array.isArray(value)) yield value;
  for (const each of Object.values(value)) yield* objects(each);
}

const options = new Map<string, Option>();
for (const command of program().commands as Command[])
  if (command.name() === 'serve')
    for (const option of command.options) options.set(variableOf(option) ?? '', option);

test('every YAML file can be read', () => {
  expect(yamls.length).toBeGreaterThan(8);
  for (const path of yamls) expect(documents(path).length, path).toBeGreaterThan(0);
});

test('variables are settings of serve', () => {
  const known = new Set(options.keys());
  const found = files.flatMap((path) => read(path).match(/TALLYBOOK_[A-Z_]+/g) ?? []);
  expect(found.length).toBeGreaterThan(8);
  expect(found.filter((name) => !known.has(name))).toEqual([]);
});

test('every address of a log can be used, with three replicas', () => {
  const addresses = files.flatMap(
    (path) => read(path).match(/nats:\/\/[^\s"]+:4222[^\s",\]]*(,[^\s"]+)*/g) ?? [],
  );
  expect(addresses.length).toBeGreaterThan(2);
  for (const address of addresses)
    expect(logAddress(address), address).toMatchObject({ replicas: 3, tls: false });
});

describe('the Dockerfile', () => {
  const lines = read('deploy/Dockerfile')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(/\s+/));
  const of = (instruction: string) => lines.filter(([name]) => name === instruction);
  const copied = of('COPY').filter(([, flag]) => !flag!.startsWith('--from'));

  test('copies what is there, and what .dockerignore lets through', () => {
    const ignore = read('.dockerignore').split('\n');
    for (const words of copied) {
      for (const path of words.slice(1, -1)) {
        expect(existsSync(join(root, path)), path).toBe(true);
        expect(ignore, path).toContain(`!${path.split('/')[0]}`);
      }
    }
  });

  test('takes from the first stage what that makes', () => {
    const made = of('COPY').filter(([, flag]) => flag!.startsWith('--from'));
    expect(made.map(([, , path]) => path!.replace('/tallybook/', '')).sort()).toEqual([
      'console/dist',
      'dist',
      'node_modules',
    ]);
    const { files: published } = JSON.parse(read('package.json')) as { files: string[] };
    const present = [...made.map(([, , path]) => path!), ...copied.flatMap((words) => words.slice(1, -1))];
    for (const path of published.filter((path) => !path.endsWith('.md')))
      expect(
        present.some((each) => each === path || each === `/tallybook/${path}`),
        path,
      ).toBe(true);
  });

  test('runs as a user without rights, on the port and in the directory that are the defaults', () => {
    expect(of('USER')).toEqual([['USER', 'node']]);
    expect(of('EXPOSE')[0]![1]).toBe(String(options.get('TALLYBOOK_PORT')!.defaultValue));
    expect(of('ENV')[0]).toContain(`TALLYBOOK_DATA=${of('VOLUME')[0]![1]}`);
    expect(read('deploy/Dockerfile')).toContain(`http://127.0.0.1:${of('EXPOSE')[0]![1]}/healthz`);
    expect(of('ENTRYPOINT')[0]!.join(' ')).toContain('bin/tallybook');
    expect(of('FROM').every(([, image]) => /^node:2[0-9]-/.test(image!))).toBe(true);
  });
});

describe('compose', () => {
  const composed = yamls.filter((path) => path.startsWith('deploy/compose/'));

  test.each(composed)('%s: what it mounts, builds and extends is there', (path) => {
    const [{ services, volumes }] = documents(path);
    for (const [name, service] of Object.entries<Any>(services)) {
      for (const volume of service.volumes ?? []) {
        const [source] = volume.split(':');
        if (source.startsWith('.')) expect(existsSync(join(root, dirname(path), source)), volume).toBe(true);
        else expect(Object.keys(volumes), `${name}: ${volume}`).toContain(source);
      }
      if (service.build)
        expect(existsSync(join(root, dirname(path), service.build.context, service.build.dockerfile))).toBe(
          true,
        );
      for (const dependency of Object.keys(service.depends_on ?? {}))
        expect(services).toHaveProperty(dependency);
      if (service.extends) {
        const [other] = documents(join(dirname(path), service.extends.file));
        expect(other.services).toHaveProperty(service.extends.service);
      }
    }
  });

  test.each(composed)('%s: Tallybook is bounded, and on a read-only root', (path) => {
    const [{ services }] = documents(path);
    const ours = Object.entries<Any>(services).filter(([, { build }]) => build);
    if (path !== 'deploy/compose/log.yaml') expect(ours.length).toBeGreaterThan(0);
    for (const [, service] of ours) {
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
      expect(service.ports[0]).toMatch(/^127\.0\.0\.1:\d+:8080$/);
    }
  });

  test('hosts that are named are services', () => {
    const services = new Set(composed.flatMap((path) => Object.keys(documents(path)[0].services)));
    const text = filesIn('deploy/compose').map(read).join('\n');
    const hosts = [...text.matchAll(/(?:@|nats:\/\/|,|<host(?:name)?>)((?:nats|clickhouse)-\d)/g)].map(
      ([, host]) => host!,
    );
    expect(hosts.length).toBeGreaterThan(10);
    expect(hosts.filter((host) => !services.has(host))).toEqual([]);
  });
});

describe('Kubernetes', () => {
  const manifests = yamls.filter((path) => path.startsWith('deploy/kubernetes/'));

  test('every resource that a kustomization names is there', () => {
    for (const path of manifests.filter((name) => name.endsWith('kustomization.yaml')))
      for (const resource of documents(path)[0].resources)
        expect(existsSync(join(root, dirname(path), resource)), `${path}: ${resource}`).toBe(true);
  });

  test('containers run without rights, on the port and the paths that exist', async () => {
    const { send } = await openApp('memory');
    let containers = 0;
    for (const path of manifests) {
      for (const each of objects(documents(path))) {
        if (each.httpGet) {
          expect(each.httpGet.port).toBe('http');
          expect((await send('GET', each.httpGet.path)).status, each.httpGet.path).toBe(200);
        }
        if (!each.containers) continue;
        containers++;
        const [container] = each.containers;
        expect(each.securityContext).toMatchObject({ runAsNonRoot: true });
        expect(container.securityContext).toMatchObject({
          readOnlyRootFilesystem: true,
          allowPrivilegeEscalation: false,
        });
        expect(container.ports).toEqual([
          { name: 'http', containerPort: options.get('TALLYBOOK_PORT')!.defaultValue },
        ]);
        expect(program().commands.map((command) => command.name())).toContain(container.args[0]);
        const mounts = container.volumeMounts.map(({ mountPath }: Any) => mountPath);
        expect(mounts).toEqual(['/data', '/tmp']);
        // Longer than a stop takes: src/cli/serving.ts.
        const [, deadline] = /deadlineSeconds = (\d+)/.exec(read('src/cli/serving.ts'))!;
        expect(each.terminationGracePeriodSeconds).toBeGreaterThan(Number(deadline));
      }
    }
    expect(containers).toBe(2);
  });
});

describe('monitoring', () => {
  const expressions = (path: string): string[] =>
    [...objects(path.endsWith('.json') ? JSON.parse(read(path)) : documents(path))].flatMap(
      ({ expr, query }) =>
        [expr, query?.query ?? query].filter((text) => typeof text === 'string' && /_/.test(text)),
    );

  test('metrics of the dashboard and of the rules are those of the code; the dashboard shows all of ours', async () => {
    const { send } = await openApp('memory');
    const { text } = await send('GET', '/metrics');
    const types = new Map(
      [...text.matchAll(/^# TYPE (\w+) (\w+)/gm)].map(([, name, type]) => [name!, type!]),
    );
    const made = new Set(
      [...types].flatMap(([name, type]) =>
        type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : name,
      ),
    );
    const used = (path: string) =>
      expressions(path).flatMap((expression) => expression.match(/\b(tallybook|process|nodejs)_\w+/g) ?? []);
    const shown = used('deploy/monitoring/dashboard.json');
    const watched = used('deploy/monitoring/alerts.yaml');
    expect(watched.length).toBeGreaterThan(8);
    expect([...shown, ...watched].filter((name) => !made.has(name))).toEqual([]);
    const ours = [...types.keys()].filter(
      (name) => name.startsWith('tallybook_') && !/waiting_bytes/.test(name),
    );
    expect(ours.filter((name) => !shown.some((each) => each.startsWith(name)))).toEqual([]);
  });

  test('panels of the dashboard do not lie on each other', () => {
    const { panels } = JSON.parse(read('deploy/monitoring/dashboard.json')) as {
      panels: { gridPos: Record<'x' | 'y' | 'w' | 'h', number> }[];
    };
    const taken = new Set<string>();
    for (const {
      gridPos: { x, y, w, h },
    } of panels)
      for (let column = x; column < x + w; column++)
        for (let line = y; line < y + h; line++) {
          expect(column, 'the width is 24').toBeLessThan(24);
          expect(taken.has(`${column},${line}`)).toBe(false);
          taken.add(`${column},${line}`);
        }
  });
});

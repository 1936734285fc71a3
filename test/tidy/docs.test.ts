/** Code and docs say the same, both ways: what is missing on either side fails here. */
import { existsSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import type { Command, Option } from 'commander';
import { expect, test } from 'vitest';
import { variableOf } from '../../src/cli/config.ts';
import { program } from '../../src/cli/main.ts';
import { exitCodes } from '../../src/cli/outcome.ts';
import { everyNames } from '../../src/engine/calendar.ts';
import {
  DeclarationSchema,
  FormSchema,
  fieldSchemas,
  RollupSchema,
  type StreamDeclaration,
} from '../../src/engine/declaration.ts';
import { errorRegister } from '../../src/engine/errors.ts';
import { fieldTypes } from '../../src/engine/field-types.ts';
import { limits } from '../../src/engine/limits.ts';
import { questionParameters } from '../../src/engine/question.ts';
import { rejectGroupings } from '../../src/engine/reject-records.ts';
import { scopes } from '../../src/engine/sources.ts';
import { fileFormats } from '../../src/engine/store.ts';
import { defineStream } from '../../src/engine/stream.ts';
import { type RejectCode, verdictNames } from '../../src/engine/verdicts.ts';
import { outputFormats } from '../../src/http/formats.ts';
import { statusOfKind } from '../../src/http/problems.ts';
import { systems } from '../../src/systems/systems.ts';
import { openApp } from '../http/open-app.ts';
import { anchors, codes, commands, fences, links, names, type Row, tables } from './markdown.ts';
import { filesIn, read, root } from './source-files.ts';

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'bench/README.md',
  'client/README.md',
  'client/CHANGELOG.md',
  ...[...filesIn('docs'), ...filesIn('examples')].filter((path) => path.endsWith('.md')),
];

test('errors: every code of the register with its status and its title', () => {
  const shown = tables('docs/errors.md', 'code').filter((row) => row.length === 4);
  expect(shown.map(([code = '', status, title]) => [codes(code)[0], status, title])).toEqual(
    Object.entries(errorRegister).map(([code, { kind, title }]) => [
      code,
      String(statusOfKind[kind]),
      code === 'unsupported_format' ? `${title} (406 where it is the format of the answer)` : title,
    ]),
  );
  expect(shown.filter(([, , , toDo]) => toDo === '')).toEqual([]);
});

test('errors: every reject code', () => {
  // The compiler holds this list against the type: no code too many, none missing.
  const known: Record<RejectCode, true> = {
    unreadable: true,
    unknown_field: true,
    missing_field: true,
    invalid_value: true,
    out_of_range: true,
    bad_length: true,
    pattern_mismatch: true,
    not_one_of: true,
    too_old: true,
    in_future: true,
    conflict: true,
    not_found: true,
    schema_violation: true,
    unknown_type: true,
    not_committed: true,
  };
  const shown = tables('docs/errors.md', 'code').filter((row) => row.length === 3);
  expect(names(shown).sort()).toEqual(Object.keys(known).sort());
});

test('verdicts: every one is told of', () => {
  const shown = tables('docs/writing.md', '').map(([, verdict = '']) => codes(verdict)[0]);
  expect([...new Set(shown.filter((verdict) => verdict !== undefined))].sort()).toEqual(
    [...verdictNames].sort(),
  );
});

test('limits: every one with its value', () => {
  const shown = tables('docs/operations.md', 'limit').map(([name = '', value = '']) => [
    codes(name)[0],
    Number(value.replaceAll(',', '')),
  ]);
  expect(Object.fromEntries(shown)).toEqual(limits);
});

test('metrics: every one', async () => {
  const { send } = await openApp('memory');
  const { text } = await send('GET', '/metrics');
  const made = [...text.matchAll(/^# TYPE (tallybook_\w+)/gm)].map(([, name]) => name);
  expect(names(tables('docs/operations.md', 'metric')).sort()).toEqual(made.sort());
});

// --- routes ------------------------------------------------------------------------------------------------

interface Described {
  parameters?: { in: string; name: string }[];
  description?: string;
  security?: object[];
}

test('routes: every one with its scope and its parameters', async () => {
  const { app, send } = await openApp('memory', { systems, console: true });
  await app.ready();
  const { json } = await send('GET', '/openapi.json');
  const paths = json.paths as Record<string, Record<string, Described>>;
  const described = new Map<string, string>();
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { parameters = [], description, security }] of Object.entries(methods)) {
      const scope = security ? /Scope: (\w+)\.$/.exec(description ?? '')![1] : 'public';
      const query = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name);
      described.set(`${method.toUpperCase()} ${path}`, `${scope}: ${query.sort().join(', ')}`);
    }
  }
  // What an address without its final slash answers is described with the slash.
  const registered = routesIn(app.printRoutes({ commonPrefix: false })).filter(
    (route) => !described.has(`${route}/`),
  );
  // The pages of the description are not in it themselves.
  for (const route of registered) if (!described.has(route)) described.set(route, 'public: ');
  expect([...described.keys()].sort()).toEqual(registered);

  const shown = tables('docs/http.md', 'route').map(([route = '', scope = '', parameters = '']) => [
    codes(route)[0]!,
    `${codes(scope)[0] ?? scope}: ${codes(parameters).sort().join(', ')}`,
  ]);
  expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(described));
});

test('routes that the docs name exist', () => {
  const known = names(tables('docs/http.md', 'route')).map((route) => {
    const [method, path = ''] = route.split(' ');
    const segments = path.replace(/\/$/, '').replace(/[.*+?]/g, '\\$&');
    return new RegExp(`^${method} ${segments.replace(/\{[^}]+\}/g, '[^/]+')}/?$`);
  });
  const wrong = pages.flatMap((path) =>
    [...read(path).matchAll(/\b((?:GET|POST|PUT|PATCH|DELETE) \/[^\s`?"')]*)/g)]
      .map(([, route]) => route!)
      // A webhook is posted to an address of its receiver.
      .filter((route) => route !== 'POST /hooks' && !known.some((pattern) => pattern.test(route)))
      .map((route) => `${path}: ${route}`),
  );
  expect(wrong).toEqual([]);
});

/** The routes of Fastify's own tree, `├── /v1/streams (GET, HEAD)`: `GET /v1/streams/{stream}`. */
function routesIn(tree: string): string[] {
  const routes: string[] = [];
  const path: string[] = [];
  for (const line of tree.split('\n')) {
    const [, indent, part, methods] = /^((?:[│ ] {3})*)[├└]── (.*?)(?: \((.*)\))?$/.exec(line) ?? [];
    if (indent === undefined || part === undefined) continue;
    path.splice(indent.length / 4, path.length, part);
    const address = path.join('').replace(/:(\w+)/g, '{$1}');
    for (const method of methods?.split(', ') ?? [])
      if (method !== 'HEAD') routes.push(`${method} ${address}`);
  }
  return routes.sort();
}

// --- declarations and questions ------------------------------------------------------------------------------

test('streams: every property of a declaration, a rollup and a field', () => {
  const properties = tables('docs/streams.md', 'property');
  const of = (schema: { properties: object }): string[] => Object.keys(schema.properties);
  const presence = ['required', 'default', 'warn'];
  expect(names(properties).sort()).toEqual(
    [...of(DeclarationSchema), ...of(RollupSchema), ...of(FormSchema), ...presence].sort(),
  );

  const shown = tables('docs/streams.md', '`type`').map(([type = '', more = '']) => [
    codes(type)[0],
    codes(more),
  ]);
  expect(Object.fromEntries(shown)).toEqual(
    Object.fromEntries(
      fieldTypes.map((type) => [
        type,
        of(fieldSchemas[type]).filter((name) => name !== 'type' && !presence.includes(name)),
      ]),
    ),
  );
});

test('streams: every declaration that is shown can be used', () => {
  for (const path of pages) {
    for (const { language, text } of fences(path)) {
      if (language !== 'json') continue;
      const document = JSON.parse(text) as object;
      if ('fields' in document) defineStream('example', document as StreamDeclaration);
    }
  }
  defineStream('usage', JSON.parse(read('docs/examples/usage.json')) as StreamDeclaration);
});

test('questions: every parameter, bucket and format', () => {
  const parameters = tables('docs/questions.md', 'parameter');
  expect(names(parameters)).toEqual(questionParameters);
  const every = parameters.find(([name]) => name === '`every`')!;
  expect(codes(every[2]!)).toEqual([...everyNames]);
  expect(names(tables('docs/questions.md', '`format`'))).toEqual([...outputFormats]);
  expect(names(tables('docs/imports.md', 'format'))).toEqual([...fileFormats]);
});

test('rejects and sources: every grouping, every scope', () => {
  const grouping = /`group_by` takes one or more of ([^.]*?), and/.exec(read('docs/rejects.md'))![1]!;
  expect(codes(grouping)).toEqual([...rejectGroupings]);
  expect(names(tables('docs/operations.md', 'scope'))).toEqual([...scopes]);
});

// --- the command ---------------------------------------------------------------------------------------------

function commandsOf(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(commandsOf);
}

function nameOf(command: Command): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}`.trim() : '';
}

const every = commandsOf(program());
const byName = new Map(every.map((command) => [nameOf(command), command]));

/** The words in capitals and the optional ones are its arguments. */
const commandOf = (text: string): string =>
  text
    .split(' ')
    .filter((word) => /^[a-z-]+$/.test(word))
    .join(' ')
    .replace(/^tallybook ?/, '');

test('commands: every one, with its arguments', () => {
  const rows = names(tables('docs/operations.md', 'command'));
  expect(rows.map(commandOf).sort()).toEqual([...byName.keys()].sort());
  for (const row of rows) {
    const given = row.split(' ').filter((word) => !/^[a-z-]+$/.test(word));
    expect(given, row).toHaveLength(byName.get(commandOf(row))!.registeredArguments.length);
  }
});

test('exit codes: every one', () => {
  expect(names(tables('docs/operations.md', 'exit code')).map(Number)).toEqual(Object.values(exitCodes));
});

test('settings: every option with its variable, and which commands take it', () => {
  const taken = new Map<string, { variable: string; commands: string[] }>();
  for (const [name, { options }] of byName) {
    for (const option of options as Option[]) {
      const variable = variableOf(option);
      if (variable === undefined) continue;
      const entry = taken.get(option.long!) ?? { variable, commands: [] };
      entry.commands.push(name);
      taken.set(option.long!, entry);
    }
  }
  const shown = tables('docs/operations.md', 'option').map(([option = '', variable = '', which = '']) => {
    const named = codes(which);
    const all = [...byName.keys()].filter((name) => !named.includes(name));
    return [codes(option)[0], { variable: codes(variable)[0], commands: /^all\b/.test(which) ? all : named }];
  });
  const sorted = (entries: Iterable<[string, { variable: string; commands: string[] }]>) =>
    Object.fromEntries(
      [...entries].map(([option, { variable, commands }]) => [
        option,
        { variable, commands: commands.sort() },
      ]),
    );
  expect(sorted(shown as never)).toEqual(sorted(taken));
});

test('variables that the docs name are settings', () => {
  const known = new Set(every.flatMap(({ options }) => (options as Option[]).map(variableOf)));
  const found = pages
    .filter((path) => path !== 'CONTRIBUTING.md') // it names those of the tests, too
    .flatMap((path) => read(path).match(/TALLYBOOK_[A-Z_]+/g) ?? []);
  expect(found.filter((variable) => !known.has(variable))).toEqual([]);
});

test('commands that are shown exist, with their options', () => {
  const wrong = pages.flatMap((path) =>
    commands(path).flatMap((line) => {
      const shown = /(?:^|[\s(|])(?:\.\/bin\/)?tallybook ([^|#]*)/.exec(line)?.[1];
      if (shown === undefined || /^--help|^--version/.test(shown)) return [];
      const words = shown.trim().split(/\s+/);
      const command = byName.get(words.slice(0, 2).join(' ')) ?? byName.get(words[0]!);
      if (!command) return [`${path}: ${line}`];
      const options = withoutQuoted(shown).match(/(?<=\s)--[a-z-]+/g) ?? [];
      const known = new Set(['--help', ...(command.options as Option[]).map(({ long }) => long!)]);
      return options.filter((option) => !known.has(option)).map((option) => `${path}: ${option} in ${line}`);
    }),
  );
  expect(wrong).toEqual([]);
});

function withoutQuoted(text: string): string {
  return text.replace(/"[^"]*"|'[^']*'/g, '""');
}

// --- invariants and links --------------------------------------------------------------------------------------

test('invariants: each names the tests that enforce it, and they are there', () => {
  const sections = read('docs/invariants.md').split(/^## /m).slice(1);
  expect(sections.map((section) => section.split('.')[0])).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
  for (const section of sections) {
    const named = [...section.matchAll(/^- `([^`]+)`: `(.+)`$/gm)];
    expect(named.length, section).toBeGreaterThan(0);
    for (const [, path, name] of named) {
      expect(existsSync(join(root, path!)), path).toBe(true);
      expect(read(path!).includes(name!), `${path} has no test "${name}"`).toBe(true);
    }
  }
});

test('links inside of the repository lead somewhere', () => {
  const broken = pages.flatMap((path) =>
    links(path)
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? path : posix.join(dirname(path), file);
        if (!existsSync(join(root, target))) return true;
        return anchor !== undefined && !anchors(target).includes(anchor);
      })
      .map((link) => `${path}: ${link}`),
  );
  expect(broken).toEqual([]);
});

test('every page of the docs can be reached from the README', () => {
  const reached = new Set(['README.md']);
  for (const path of reached) {
    if (!path.endsWith('.md')) continue;
    for (const link of links(path)) {
      const target = posix.join(dirname(path), link.split('#')[0]!);
      if (/^[a-z]+:/.test(link) || !existsSync(join(root, target))) continue;
      reached.add(target);
    }
  }
  expect(filesIn('docs').filter((path) => !reached.has(path))).toEqual([]);
});

test('tables have as many cells in every row', () => {
  const uneven = pages.flatMap((path) => {
    const found: string[] = [];
    let width = 0;
    for (const line of read(path).split('\n')) {
      const cells: Row = line.startsWith('|') ? line.slice(1, -1).split('|') : [];
      if (cells.length > 0 && width > 0 && cells.length !== width) found.push(`${path}: ${line}`);
      width = cells.length;
    }
    return found;
  });
  expect(uneven).toEqual([]);
});

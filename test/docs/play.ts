/**
 * Runs what a page shows, as a reader would: one shell, in a folder of its own, block after block.
 *
 * - `console`: a session. What stands after `$ ` is run (`> ` goes on with it), and what comes must be what is shown.
 *   Times, rates and widths of columns differ from run to run and are not compared.
 * - `sh`: commands that must succeed. What they say is not shown, so it is not compared.
 * - A server that is started (`tallybook serve`) stays, as in another terminal, until the next one or the end of the
 *   page. It listens on a free port where the page says 8080.
 *
 * A comment before a block says what cannot be seen in it: `<!-- file: name -->` makes a file of it; `<!-- before: … -->`
 * runs commands that the text around tells of; `<!-- not run: why -->` leaves it out.
 */
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort } from '../free-port.ts';
import { read, root } from '../tidy/source-files.ts';

export interface Block {
  page: string;
  line: number;
  language: string;
  text: string;
  /** What the comment before it says. */
  file?: string;
  before?: string;
  notRun?: string;
}

/** The fenced blocks of a page, in order. */
export function blocks(page: string): Block[] {
  const text = read(page);
  const found = text.matchAll(
    /(?:^<!-- (file|before|not run): ((?:(?!-->)[\s\S])*) -->\n)?^```(\w*)\n([\s\S]*?)^```$/gm,
  );
  return [...found].map(({ index, 1: marker, 2: said, 3: language = '', 4: content = '' }) => ({
    page,
    line: text.slice(0, index).split('\n').length,
    language,
    text: content,
    ...(marker === undefined ? {} : { [marker === 'not run' ? 'notRun' : marker]: said! }),
  }));
}

export interface Played {
  /** What the blocks of sessions show, and what came. */
  shown: string;
  came: string;
  /** Commands of other blocks that failed. */
  failed: string;
}

/** Plays the blocks of a page. */
export async function play(page: string): Promise<Played> {
  const all = blocks(page).filter(({ notRun }) => notRun === undefined);
  const folder = makeFolder(page);
  try {
    const port = await freePort();
    const script = [preamble, ...all.map((block) => scriptOf(block))]
      .join('\n')
      .replaceAll(':8080', `:${port}`);
    const came = await bash(folder, script, port);
    const failures = join(folder, '.failures');
    // What came is left to be looked at, and copied where a page is to be changed.
    const left = join(root, 'coverage/docs', page.replaceAll('/', '_'));
    mkdirSync(dirname(left), { recursive: true });
    writeFileSync(left, came.replaceAll(`:${port}`, ':8080'));
    return {
      shown: comparable(
        all
          .filter(isSession)
          .map(({ text }) => text)
          .join(''),
      ),
      came: comparable(came.replaceAll(`:${port}`, ':8080')),
      failed: existsSync(failures) ? readFileSync(failures, 'utf8') : '',
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const isSession = ({ language, file }: Block): boolean => language === 'console' && file === undefined;

/**
 * A clone as far as commands need one, which is also a folder in which the package is installed; of an example the
 * folder of the example.
 */
function makeFolder(page: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tallybook-docs-'));
  symlinkSync(join(root, 'bin'), join(folder, 'bin'));
  if (page.startsWith('examples/')) cpSync(join(root, dirname(page)), folder, { recursive: true });
  else cpSync(join(root, 'docs/examples'), join(folder, 'docs/examples'), { recursive: true });
  const installed = join(folder, 'node_modules');
  mkdirSync(join(installed, '.bin'), { recursive: true });
  symlinkSync(join(root, 'bin/tallybook'), join(installed, '.bin/tallybook'));
  symlinkSync(root, join(installed, 'tallybook'));
  for (const name of ['@duckdb', '@types'])
    symlinkSync(join(root, 'node_modules', name), join(installed, name));
  symlinkSync(join(root, 'node_modules/.bin/tsc'), join(installed, '.bin/tsc'));
  return folder;
}

/**
 * `npx` runs what is installed in the folder (test/package has it run by npm itself). A refusal is a failure of curl;
 * exit code 3 of the command says that some records were refused, as pages show on purpose.
 */
const preamble = `
exec 2>&1
set -E
npx() { "node_modules/.bin/$@"; }
curl() { command curl --no-progress-meter --fail-with-body "$@"; }
server=
export -f npx curl
stop_server() { [ -z "$server" ] || { kill "$server"; wait "$server"; server=; } 2> /dev/null; }
serve() {
  stop_server
  ./bin/tallybook serve "$@" > .server.log 2>&1 &
  server=$!
  until command curl -sf "http://127.0.0.1:8080/readyz" > /dev/null; do
    kill -0 "$server" 2> /dev/null || { cat .server.log >> .failures; server=; return 1; }
    sleep 0.1
  done
}
note() { [ "$1" = 3 ] || echo "exit $1: $2" >> .failures; }
trap stop_server EXIT
`;

function scriptOf({ page, line, language, text, file, before }: Block): string {
  if (file !== undefined)
    return `mkdir -p ${quoted(dirname(file))}; cat > ${quoted(file)} <<'END_OF_FILE'\n${text}END_OF_FILE`;
  const unseen = before === undefined ? '' : checked(`${page}:${line}`, before);
  if (language === 'console') return [unseen, ...commandsOf(text).map(shownAndRun)].join('\n');
  return language === 'sh' ? `${unseen}\n${checked(`${page}:${line}`, text)}` : unseen;
}

/** Commands that must succeed, and whose words are not shown. */
function checked(where: string, commands: string): string {
  return `trap 'note $? ${quoted(where).replaceAll("'", '"')}": $BASH_COMMAND"' ERR
{
${withServers(commands)}
} > .said 2>&1
trap - ERR`;
}

/** The commands of a session, each with the lines that go on with it. */
function commandsOf(session: string): string[] {
  return [...session.matchAll(/^\$ (.*(?:\n> .*)*)/gm)].map(([, command]) => command!);
}

const shownAndRun = (command: string): string =>
  `printf '\\n%s\\n' ${quoted(`$ ${command}`)}\n${withServers(command.replaceAll('\n> ', '\n'))}`;

const withServers = (commands: string): string =>
  commands.replace(/^(?:npx |\.\/bin\/)tallybook serve\b(.*)$/gm, (_, options: string) => `serve${options}`);

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function bash(folder: string, script: string, port: number): Promise<string> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(TALLYBOOK_|npm_)/.test(name));
  writeFileSync(join(folder, '.script.sh'), script);
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['.script.sh'], {
      cwd: folder,
      // How much progress is told depends on how long it takes.
      env: { ...Object.fromEntries(inherited), TALLYBOOK_QUIET: '1', TALLYBOOK_PORT: String(port) },
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 280_000,
    });
    let came = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      came += chunk;
    });
    child.on('error', reject);
    child.on('close', () => resolve(came));
  });
}

const times = /\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?(?=Z\)| |$)/g;
const members = /"(recorded_at|created_at|finished_at|first_seen|last_seen|at)":"[^"]*"/g;

/** Without what differs from run to run. */
export function comparable(text: string): string {
  const lines = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) =>
      line
        .replace(times, 'TIME')
        .replace(/TIMEZ/g, 'TIME')
        .replace(/^refused at .*/, 'refused at TIME')
        // The books of the ledger itself are written in between.
        .replace(/\bbatch \d+/g, 'batch N')
        .replace(/"batch":\d+/g, '"batch":N')
        .replace(members, '"$1":"TIME"')
        .replace(/\bn_[0-9a-f]{32}\b/g, 'NOTIFICATION')
        .replace(/\b[\d.,]+ (ms|s|min)\b(\s+[\d,]+$)?/g, (_, _unit, rate) =>
          rate === undefined ? 'TIME' : 'TIME RATE',
        )
        .replace(/\s+/g, ' ')
        .trim(),
    );
  return lines.join('\n');
}

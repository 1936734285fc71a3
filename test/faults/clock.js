/**
 * Loaded into a server under test before anything else (`node --import`): a clock that can be set, from outside, while
 * the process runs. All of Tallybook's times come from `Date`; timers run by another clock, as they do on a machine
 * whose date is changed.
 */
const machine = Date;
let ahead = 0;
const now = () => machine.now() + ahead;

globalThis.Date = new Proxy(machine, {
  construct: (target, values, called) =>
    Reflect.construct(target, values.length > 0 ? values : [now()], called),
  apply: () => new machine(now()).toString(),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
});

process.on('message', ({ milliseconds }) => {
  ahead = milliseconds;
  process.send('set');
});
// Whoever may set it keeps no process alive.
process.channel?.unref();

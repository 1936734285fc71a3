/**
 * Figures for Prometheus. They are counted by batch and by question, and of requests only those that are refused: what
 * is sent most must cost nothing here.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type ErrorCode, errorRegister } from '../engine/errors.ts';
import type { FrontLogState } from '../engine/front-log.ts';
import type { Tallybook } from '../engine/tallybook.ts';
import { countOfVerdict, verdictNames } from '../engine/verdicts.ts';

export interface Metrics {
  contentType: string;
  text(): Promise<string>;
  /** A request was answered with a problem. */
  refused(code: ErrorCode): void;
  stop(): void;
}

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];

export function countEverything(tallybook: Tallybook): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const batches = new Counter({ name: 'tallybook_batches_total', help: 'Commits', registers });
  const deliveries = new Counter({
    name: 'tallybook_deliveries_total',
    help: 'Requests and files committed',
    registers,
  });
  const records = new Counter({
    name: 'tallybook_records_total',
    help: 'Records received and committed, whatever their verdict',
    registers,
  });
  const verdicts = new Counter({
    name: 'tallybook_verdicts_total',
    help: 'Verdicts',
    labelNames: ['stream', 'verdict'],
    registers,
  });
  const refused = new Counter({
    name: 'tallybook_refused_requests_total',
    help: 'Requests that were answered with a problem, by its code',
    labelNames: ['code'],
    registers,
  });
  // A counter that comes into being with its first event has not risen, to Prometheus.
  for (const code of Object.keys(errorRegister)) refused.inc({ code }, 0);
  const commits = new Histogram({
    name: 'tallybook_commit_seconds',
    help: 'Time of a commit',
    buckets: secondsBuckets,
    registers,
  });
  const questions = new Histogram({
    name: 'tallybook_question_seconds',
    help: 'Time of an answer',
    labelNames: ['stream', 'from'],
    buckets: secondsBuckets,
    registers,
  });
  const evaluations = new Histogram({
    name: 'tallybook_alert_evaluation_seconds',
    help: 'Time of an evaluation of the alerts',
    buckets: secondsBuckets,
    registers,
  });
  const notifications = new Counter({
    name: 'tallybook_notifications_total',
    help: 'Thresholds of alerts that were reached',
    labelNames: ['alert', 'threshold'],
    registers,
  });
  const attempts = new Counter({
    name: 'tallybook_webhook_attempts_total',
    help: 'Attempts to post to a webhook',
    labelNames: ['webhook', 'outcome'],
    registers,
  });
  /** Where there is no value, there is no figure. */
  const depth = (name: string, help: string, value: () => number | undefined): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const now = value();
        if (now === undefined) this.remove();
        else this.set(now);
      },
    });
  };
  const appends = new Counter({
    name: 'tallybook_log_appends_total',
    help: 'Messages that were written to the log in front, or refused by it',
    labelNames: ['outcome'],
    registers,
  });
  const appendSeconds = new Histogram({
    name: 'tallybook_log_append_seconds',
    help: 'Time until the log in front has acknowledged a message',
    buckets: secondsBuckets,
    registers,
  });
  const taken = new Counter({
    name: 'tallybook_log_taken_total',
    help: 'Messages of the log in front: committed, redelivered (and known already), dead (gone to the rejects)',
    labelNames: ['outcome'],
    registers,
  });
  const restarts = new Counter({
    name: 'tallybook_log_restarts_total',
    help: 'Times that taking from the log in front began again after what is committed',
    registers,
  });
  const ofLog = (name: string, help: string, value: (state: FrontLogState) => number): void =>
    depth(name, help, () => tallybook.frontLog && value(tallybook.frontLog.state));
  ofLog('tallybook_log_connected', 'Whether the log in front answers: 1 or 0', ({ connected }) =>
    Number(connected),
  );
  ofLog('tallybook_log_taking', 'Whether this node takes from the log in front: 1 or 0', ({ taking }) =>
    Number(taking),
  );
  ofLog(
    'tallybook_log_lag_messages',
    'Messages of the log in front that are not committed yet',
    ({ waitingMessages }) => waitingMessages,
  );
  ofLog('tallybook_log_lag_bytes', 'The same in bytes', ({ waitingBytes }) => waitingBytes);
  ofLog(
    'tallybook_log_lag_seconds',
    'Age of the oldest message of the log in front that is not committed yet',
    ({ lagSeconds }) => lagSeconds,
  );
  const { writer, events } = tallybook;
  depth(
    'tallybook_waiting_deliveries',
    'Deliveries taken in and not committed yet',
    () => writer.depth.deliveries,
  );
  depth('tallybook_waiting_records', 'Records taken in and not committed yet', () => writer.depth.records);
  depth('tallybook_waiting_bytes', 'Bytes taken in and not committed yet', () => writer.depth.bytes);
  depth(
    'tallybook_waiting_deliveries_limit',
    'Deliveries that may wait; what comes then is refused as overloaded',
    () => writer.room.deliveries,
  );
  depth(
    'tallybook_waiting_records_limit',
    'Records that may wait; fewer while commits are slow',
    () => writer.room.records,
  );
  depth('tallybook_waiting_bytes_limit', 'Bytes that may wait', () => writer.room.bytes);
  depth('tallybook_imports_in_progress', 'Imports that run or wait', () => tallybook.imports.inProgress);

  depth(
    'tallybook_alert_lag_seconds',
    'For how long commits have been waiting for the alerts to be evaluated',
    () => tallybook.evaluation.lagSeconds,
  );

  const onBatch: Parameters<typeof events.on<'batch'>>[1] = (event) => {
    batches.inc();
    deliveries.inc(event.deliveries);
    records.inc(event.records);
    commits.observe(event.seconds);
    for (const [stream, counts] of event.counts) {
      for (const verdict of verdictNames) {
        const count = counts[countOfVerdict[verdict]];
        if (count > 0) verdicts.inc({ stream, verdict }, count);
      }
    }
  };
  const onQuestion: Parameters<typeof events.on<'question'>>[1] = ({ stream, from, seconds }) => {
    questions.observe({ stream, from }, seconds);
  };
  const onEvaluation: Parameters<typeof events.on<'evaluation'>>[1] = (event) => {
    evaluations.observe(event.seconds);
    for (const { alert, threshold } of event.notifications) notifications.inc({ alert, threshold });
  };
  const onAttempt: Parameters<typeof events.on<'attempt'>>[1] = ({ webhook, outcome }) => {
    attempts.inc({ webhook, outcome });
  };
  const onAppended: Parameters<typeof events.on<'appended'>>[1] = ({ outcome, seconds }) => {
    appends.inc({ outcome });
    appendSeconds.observe(seconds);
  };
  const onTaken: Parameters<typeof events.on<'taken'>>[1] = ({ committed, redelivered, dead, restarted }) => {
    for (const [outcome, count] of Object.entries({ committed, redelivered, dead }))
      if (count > 0) taken.inc({ outcome }, count);
    if (restarted) restarts.inc();
  };
  events.on('batch', onBatch).on('question', onQuestion);
  events.on('evaluation', onEvaluation).on('attempt', onAttempt);
  events.on('appended', onAppended).on('taken', onTaken);
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    refused: (code) => refused.inc({ code }),
    stop() {
      events.off('batch', onBatch).off('question', onQuestion);
      events.off('evaluation', onEvaluation).off('attempt', onAttempt);
      events.off('appended', onAppended).off('taken', onTaken);
      registry.clear();
    },
  };
}

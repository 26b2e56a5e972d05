import { Controller, Get, Header, type OnModuleInit } from '@nestjs/common';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { Database } from './database/database.ts';
import { FlowRunner } from './flow/flow-runner.ts';
import { ConformanceLog } from './governance/conformance-log.ts';
import { Outbox } from './queue/outbox.ts';
import { DoorEvents } from './steps/inlet/door-events.ts';
import { AlertWatch } from './steps/message-log/alert-watch.ts';
import { ALERT_KINDS } from './steps/message-log/find-alerts.ts';

/** From a millisecond to ten minutes: a step may be an SQL statement or a 3,000-slice CT. */
const STEP_BUCKETS_S = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 600];

/** Prometheus metrics. Labels come from closed sets (step, end, queue, state, rule, outcome): never an id, never a name. */
@Controller('metrics')
export class MetricsController implements OnModuleInit {
  private readonly registry = new Registry();
  private readonly seconds = new Histogram({
    name: 'prelim_step_seconds',
    help: 'Time of one run of a step',
    labelNames: ['step'],
    buckets: STEP_BUCKETS_S,
    registers: [this.registry],
  });
  private readonly ends = new Counter({
    name: 'prelim_step_ends_total',
    help: 'How runs of steps ended: done, skipped, refused, given-up, later',
    labelNames: ['step', 'end'],
    registers: [this.registry],
  });
  private readonly jobs = new Gauge({
    name: 'prelim_jobs',
    help: 'Rows of the outbox by queue and state',
    labelNames: ['queue', 'state'],
    registers: [this.registry],
  });

  private readonly gateEnds = new Counter({
    name: 'prelim_gate_analyses_total',
    help: 'Analyses that ended at the gate or behind it: passed, warned, refused',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  private readonly gateRules = new Counter({
    name: 'prelim_gate_rules_total',
    help: 'Rules of the gate that refused an analysis or warned of it',
    labelNames: ['rule', 'outcome'],
    registers: [this.registry],
  });

  private readonly hl7Alerts = new Gauge({
    name: 'prelim_hl7_alerts',
    help: 'Alerts of the HL7 side that are on: unsent, unconfigured, unfiled, held, silent, errors, certificate, dead',
    labelNames: ['kind'],
    registers: [this.registry],
  });
  private readonly hl7Unsent = new Gauge({
    name: 'prelim_hl7_oldest_unsent_seconds',
    help: 'Age of the oldest result message that waits to be sent, over all destinations',
    registers: [this.registry],
  });
  private readonly hl7Unfiled = new Gauge({
    name: 'prelim_hl7_oldest_unfiled_seconds',
    help: 'Age of the oldest message received that waits to be filed',
    registers: [this.registry],
  });

  private readonly mllpEvents = new Counter({
    name: 'prelim_mllp_events_total',
    help: 'What happened at the MLLP door beside messages: tls-failed, refused-connection, too-large, torn, stalled, too-slow, idle, noise and others',
    labelNames: ['event'],
    registers: [this.registry],
  });
  private readonly hl7Refused = new Counter({
    name: 'prelim_hl7_refused_total',
    help: 'HL7 messages answered AR, by code; they stand in the message log',
    labelNames: ['code'],
    registers: [this.registry],
  });

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly flow: FlowRunner,
    private readonly gate: ConformanceLog,
    private readonly alerts: AlertWatch,
    private readonly door: DoorEvents,
  ) {}

  onModuleInit(): void {
    collectDefaultMetrics({ register: this.registry });
    this.flow.watch((ended) => {
      this.seconds.observe({ step: ended.step }, ended.ms / 1_000);
      this.ends.inc({ step: ended.step, end: ended.end });
    });
    this.gate.watch(({ outcome, rules }) => {
      this.gateEnds.inc({ outcome });
      for (const rule of rules) this.gateRules.inc({ rule, outcome });
    });
  }

  @Get()
  @Header('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
  async metrics(): Promise<string> {
    this.jobs.reset();
    for (const row of await this.outbox.counts(this.database))
      this.jobs.set({ queue: row.queue, state: row.state }, row.jobs);
    const { alerts, oldestUnsentSeconds, oldestUnfiledSeconds } = await this.alerts.state();
    for (const kind of ALERT_KINDS)
      this.hl7Alerts.set({ kind }, alerts.filter((one) => one.kind === kind).length);
    this.mllpEvents.reset();
    for (const [event, times] of this.door.events) this.mllpEvents.inc({ event }, times);
    this.hl7Refused.reset();
    for (const [code, messages] of this.door.refused) this.hl7Refused.inc({ code }, messages);
    this.hl7Unsent.set(oldestUnsentSeconds);
    this.hl7Unfiled.set(oldestUnfiledSeconds);
    return this.registry.metrics();
  }
}

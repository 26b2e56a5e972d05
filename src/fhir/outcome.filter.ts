import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Failure } from '../kernel/errors.ts';
import { failureToOutcome, type OutcomeAnswer } from './failure-to-outcome.ts';
import { isFhir } from './raw-bodies.ts';

/** As much of the log as is needed here. */
export interface FailureLog {
  error(fields: object, message: string): void;
}

/**
 * The global filter of the server: turns whatever is thrown, also before a route is reached (no token, a body too large, an
 * unknown media type), into an OperationOutcome. The cause of an unknown failure goes to the log under a reference.
 */
@Catch()
export class OutcomeFilter implements ExceptionFilter {
  constructor(private readonly log: FailureLog) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const { url } = host.switchToHttp().getRequest<FastifyRequest>();
    const answer = failureToOutcome(knownFailure(error, url));
    if (answer.reference !== null) this.note(error, answer);
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    if (reply.sent) return;
    // RFC 6750 3: a refusal for want of a token names the scheme.
    if (answer.status === 401) reply.header('www-authenticate', 'Bearer');
    reply
      .status(answer.status)
      .header(
        'content-type',
        isFhir(url) ? 'application/fhir+json; charset=utf-8' : 'application/json; charset=utf-8',
      )
      .send(JSON.stringify(answer.outcome));
  }

  /** Class, code and place only: the message of a database error can hold the values of a row. */
  private note(error: unknown, { reference }: OutcomeAnswer): void {
    const { name, code, stack } = (error ?? {}) as { name?: string; code?: string; stack?: string };
    const at = (stack ?? '')
      .split('\n')
      .filter((line) => /^\s+at /.test(line))
      .slice(0, STACK_LINES);
    this.log.error({ reference, error: name ?? typeof error, code, at }, 'a request failed');
  }
}

const STACK_LINES = 8;

/** Refusals that Fastify and Nest make before an interaction runs. */
function knownFailure(error: unknown, url: string): unknown {
  const status =
    error instanceof HttpException
      ? error.getStatus()
      : (error as { statusCode?: unknown } | null)?.statusCode;
  if (error instanceof Failure || typeof status !== 'number') return error;
  const known = status === 415 && ARCHIVE.test(url) ? NO_INSTANCES : BY_STATUS[status];
  return known ? new Failure(...known) : error;
}

const ARCHIVE = /^\/dicomweb\//;
const NO_INSTANCES: ConstructorParameters<typeof Failure> = [
  'archive.media-type',
  'Store instances as multipart/related; type="application/dicom".',
];

const BY_STATUS: Readonly<Record<number, ConstructorParameters<typeof Failure>>> = {
  400: ['http.bad-request', 'The request is not well formed.'],
  401: ['auth.missing', 'Send a bearer token.'],
  403: ['auth.scope', 'The token does not allow this.'],
  404: ['http.not-found', 'There is nothing at this URL.'],
  405: ['fhir.unsupported', 'This URL does not take this method.'],
  406: ['fhir.not-acceptable', 'The answer cannot be given in the form that was asked for.'],
  413: ['fhir.too-large', 'The body is larger than this server reads.'],
  414: ['http.bad-request', 'The URL is too long.'],
  415: [
    'fhir.media-type',
    'The body is of a media type that this URL does not take; FHIR is sent as application/fhir+json, a patch as application/json-patch+json or as Parameters.',
  ],
};

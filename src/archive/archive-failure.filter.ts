import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Failure, type FailureKind } from '../kernel/errors.ts';

/** Failures at the archive's door: a status, and the code and text as JSON (PS3.18 8.5 leaves the body to the server). */
@Catch(Failure)
export class ArchiveFailureFilter implements ExceptionFilter<Failure> {
  catch(failure: Failure, host: ArgumentsHost): void {
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const status = STATUS[failure.kind] ?? 500;
    if (failure.kind === 'unavailable' || failure.kind === 'busy') void reply.header('retry-after', '10');
    void reply.status(status).send({ code: failure.code, message: failure.message, issues: failure.issues });
  }
}

const STATUS: Partial<Record<FailureKind, number>> = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  'not-acceptable': 406,
  conflict: 409,
  'too-large': 413,
  'media-type': 415,
  busy: 503,
  unavailable: 503,
  timeout: 504,
};

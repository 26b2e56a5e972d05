import 'reflect-metadata';
import type { FastifyInstance } from 'fastify';
import { readSettings } from '../../src/config/settings.ts';
import { makeLogger } from '../../src/kernel/log.ts';
import { startServer } from '../../src/start-server.ts';

// A process that starts the server, prints every route it has, and ends.
const server = await startServer(readSettings(), makeLogger('silent'));
const fastify = server.app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
process.stdout.write(fastify.printRoutes({ commonPrefix: false }));
await server.stop();

/**
 * A partner for go-live tests: `npm run simulate -- ris` is the RIS that gets our results, `npm run simulate -- orders` the one that sends a day of
 * patients and orders. All people are made up.
 */
import { ORDERS_USAGE, simulateOrders } from './simulate-orders.ts';
import { RIS_USAGE, simulateRis } from './simulate-ris.ts';

const [command, ...args] = process.argv.slice(2);

try {
  if (command === 'ris') process.exitCode = await simulateRis(args);
  else if (command === 'orders') process.exitCode = await simulateOrders(args);
  else {
    process.stderr.write(`${RIS_USAGE}\n${ORDERS_USAGE}`);
    process.exitCode = 2;
  }
} catch (error) {
  const isUsage = error instanceof TypeError && 'code' in error; // parseArgs
  process.stderr.write(
    `${(error as Error).message}\n${isUsage ? (command === 'ris' ? RIS_USAGE : ORDERS_USAGE) : ''}`,
  );
  process.exitCode = 2;
}

/**
 * Exact arithmetic with decimal texts, so that 5.35 mg compared with 5.35 mg is equal after both were converted. `Infinity` stays what it is.
 */
export function scaled(value: string, factor: string, offset: string): string {
  if (value.endsWith('Infinity')) return value;
  if (factor === '1' && offset === '0') return normal(value);
  const a = parts(value);
  const b = parts(factor);
  const c = parts(offset);
  const product = { digits: a.digits * b.digits, power: a.power + b.power };
  if (c.digits === 0n) return text(product);
  const power = Math.min(product.power, c.power);
  const raised = (one: Parts): bigint => one.digits * 10n ** BigInt(one.power - power);
  return text({ digits: raised(product) + raised(c), power });
}

/** As `text(parts(value))`; big integers are dear and most values are short. */
function normal(value: string): string {
  if (!PLAIN.test(value)) return text(parts(value));
  const point = value.indexOf('.');
  if (point === -1) return String(Number(value));
  return `${Number(value.slice(0, point) + value.slice(point + 1))}e${point + 1 - value.length}`;
}

/** No more digits than a double holds for certain. */
const PLAIN = /^-?\d{1,7}(?:\.\d{1,8})?$/;

interface Parts {
  readonly digits: bigint;
  readonly power: number;
}

function parts(value: string): Parts {
  const [mantissa = '0', power = '0'] = value.toLowerCase().split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  return { digits: BigInt(`${whole}${fraction}`), power: Number(power) - fraction.length };
}

const text = ({ digits, power }: Parts): string => (power === 0 ? `${digits}` : `${digits}e${power}`);

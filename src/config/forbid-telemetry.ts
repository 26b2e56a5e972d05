/**
 * ONNX Runtime 1.30 for Linux and macOS reports its use to its maker unless this variable is set before its first session. This server calls
 * nobody that its owner has not named. Must run in the main thread: a worker's environment is a copy that native code does not see.
 */
export function forbidTelemetry(): void {
  process.env['ORT_DISABLE_TELEMETRY'] = '1';
}

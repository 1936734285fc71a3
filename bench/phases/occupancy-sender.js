/** Sends passages in bodies of 500 over HTTP, four at a time: in a process of its own, so that the server's is the server's. */
import { connect } from 'node:net';

const PASSAGES = 500;
const AT_ONCE = 4;
const FROM = Date.UTC(2026, 10, 6);

/**
 * @param {{port: number, seconds: number, sensors: number, rate?: number}} what passages a second at most, when told
 * @returns {Promise<{sent: number, seconds: number}>} passages that were acknowledged, and how long that took
 */
export async function sendPassages({ port, seconds, sensors, rate }) {
  let sent = 0;
  const start = performance.now();
  const passed = () => (performance.now() - start) / 1000;
  const sender = async () => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    while (passed() < seconds) {
      if (rate !== undefined && sent >= passed() * rate) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        continue;
      }
      const first = sent;
      sent += PASSAGES;
      await answered(socket, bodyOf(first, sensors));
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sender));
  return { sent, seconds: passed() };
}

function bodyOf(first, sensors) {
  const timestamp = new Date(FROM + first / 10).toISOString();
  const passages = Array.from({ length: PASSAGES }, (_, n) => ({
    timestamp,
    direction: n % 2 === 0 ? 1 : -1,
    dpu_id: ((first + n) % sensors) + 1,
  }));
  return JSON.stringify(passages);
}

/** Resolves when all of a batch is told to be kept; the answer names its length. */
function answered(socket, body) {
  const head = `POST /v1/passages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
  return new Promise((resolve, reject) => {
    let answer = '';
    const onClose = () => reject(new Error('the server closed the connection without an answer'));
    const onData = (piece) => {
      answer += piece;
      const end = answer.indexOf('\r\n\r\n');
      const length = Number(/^content-length: (\d+)/im.exec(answer)?.[1]);
      if (end < 0 || answer.length < end + 4 + length) return;
      socket.off('data', onData);
      socket.off('error', reject);
      socket.off('close', onClose);
      if (/^HTTP\/1\.1 200 /.test(answer)) resolve(undefined);
      else reject(new Error(answer));
    };
    socket.on('data', onData);
    socket.once('error', reject);
    socket.once('close', onClose);
    socket.write(head + body);
  });
}

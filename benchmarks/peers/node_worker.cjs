// @vladmandic/human and @vladmandic/face-api on their wasm backend, as benchmarks/inference.py
// measures them; see worker.py for the protocol. Run in a folder with node_modules:
// npm install @vladmandic/human @vladmandic/face-api @tensorflow/tfjs @tensorflow/tfjs-backend-wasm sharp
const fs = require('fs');
const path = require('path');
const { performance } = require('perf_hooks');
const { createRequire } = require('module');

const from = createRequire(path.join(process.cwd(), 'index.js'));
const NAMES = {
  angry: 'anger', disgust: 'disgust', disgusted: 'disgust', fear: 'fear', fearful: 'fear', happy: 'happiness',
  sad: 'sadness', surprise: 'surprise', surprised: 'surprise', neutral: 'neutral',
};
const folder = (name) => path.join(process.cwd(), 'node_modules', name);

// Neither may ask anybody for a model: fetch reads files of this folder.
global.fetch = async (url) => {
  const content = fs.readFileSync(String(url).replace(/^file:\/\//, ''));
  return {
    ok: true, status: 200, headers: new Map(), text: async () => content.toString(),
    json: async () => JSON.parse(content.toString()),
    arrayBuffer: async () => content.buffer.slice(content.byteOffset, content.byteOffset + content.length),
  };
};

async function pixels(tf, sharp, file) {
  const { data, info } = await sharp(file).removeAlpha().toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  return tf.tensor3d(new Uint8Array(data), [info.height, info.width, 3], 'int32');
}

async function openHuman(tf, sharp) {
  const H = from(folder('@vladmandic/human/dist/human.node-wasm.js'));
  const off = { enabled: false };
  const human = new H.Human({
    backend: 'wasm', wasmPath: folder('@tensorflow/tfjs-backend-wasm/dist') + '/', debug: false, cacheSensitivity: 0,
    modelBasePath: 'file://' + folder('@vladmandic/human/models') + '/', filter: off, body: off, hand: off, object: off, gesture: off,
    segmentation: off,
    face: { enabled: true, detector: { rotation: false, maxDetected: 50 }, mesh: { enabled: true }, iris: off, description: off, emotion: { enabled: true, minConfidence: 0 } },
  });
  await human.load();
  const read = async (file) => {
    const image = await pixels(tf, sharp, file);
    const { face } = await human.detect(image);
    image.dispose();
    return face.map((one) => (one.emotion && one.emotion.length ? NAMES[one.emotion[0].emotion] : ''));
  };
  return { read, classify: async (file) => (await read(file))[0] || '' };
}

async function openFaceApi(tf, sharp) {
  const api = from('@vladmandic/face-api/dist/face-api.node-wasm.js');
  const models = folder('@vladmandic/face-api/model');
  await api.nets.ssdMobilenetv1.loadFromDisk(models);
  await api.nets.faceExpressionNet.loadFromDisk(models);
  const options = new api.SsdMobilenetv1Options({ maxResults: 50 });
  const best = (values) => NAMES[Object.entries({ ...values }).sort((a, b) => b[1] - a[1])[0][0]];
  const read = async (file) => {
    const image = await pixels(tf, sharp, file);
    const faces = await api.detectAllFaces(image, options).withFaceExpressions();
    image.dispose();
    return faces.map((one) => best(one.expressions));
  };
  const classify = async (file) => {
    const image = await pixels(tf, sharp, file);
    const values = await api.nets.faceExpressionNet.predictExpressions(image);
    image.dispose();
    return best(values);
  };
  return { read, classify };
}

async function main() {
  const order = JSON.parse(fs.readFileSync(process.argv[3], 'utf8'));
  let started = performance.now();
  const tf = from('@tensorflow/tfjs');
  const wasm = from('@tensorflow/tfjs-backend-wasm');
  const sharp = from('sharp');
  sharp.concurrency(order.threads);
  wasm.setWasmPaths(folder('@tensorflow/tfjs-backend-wasm/dist') + '/');
  wasm.setThreadsCount(order.threads);
  await tf.setBackend('wasm');
  await tf.ready();
  const peer = await (process.argv[2] === 'human' ? openHuman : openFaceApi)(tf, sharp);
  const opened = (performance.now() - started) / 1000;
  const call = order.classify ? peer.classify : peer.read;
  const alone = [];
  for (let i = 0; order.repeat && i <= order.repeat; i++) {
    started = performance.now();
    await call(order.first);
    alone.push(performance.now() - started);
  }
  started = performance.now();
  const faces = [];
  for (const photo of order.photos) faces.push(await call(photo));
  const seconds = (performance.now() - started) / 1000;
  const result = { opened, first_ms: alone.length ? alone[0] : null, alone_ms: alone.slice(1), seconds, faces, peak_mb: process.resourceUsage().maxRSS / 1024 };
  console.log('result ' + JSON.stringify(result));
  process.exit(0);
}

main();

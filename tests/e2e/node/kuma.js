// Uptime Kuma's own webhook provider: node kuma.js URL TOKEN KIND STATUS MESSAGE
const Webhook = require("./node_modules/uptime-kuma/server/notification-providers/webhook.js");

const [url, token, kind, status, message] = process.argv.slice(2);
const monitor = { id: 7, name: "shop", type: "http", url: "https://shop.example/", hostname: null, tags: [{ name: "team", value: "web" }] };
const beat = { monitorID: 7, status: Number(status), time: "2026-03-12 08:00:00.000", msg: message, important: true, duration: 60 };
const notification = {
    webhookURL: url,
    webhookContentType: kind,
    webhookCustomBody: '{"heartbeat": {{ heartbeatJSON | json }}, "monitor": {{ monitorJSON | json }}, "msg": {{ msg | json }}}',
    webhookAdditionalHeaders: JSON.stringify({ Authorization: `Bearer ${token}` }),
};
new Webhook().send(notification, `[shop] ${message}`, monitor, beat).then(console.log, (error) => { console.error(String(error)); process.exit(1); });

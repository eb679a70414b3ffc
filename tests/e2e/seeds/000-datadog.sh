curl -X POST http://localhost:8000/ingest/datadog/webhook?project_id=test \
  -H "Content-Type: application/json" \
  -d '{"id":"123","title":"[Test] Alert","body":"Test alert","alert_type":"error","date":1705315800}'

curl -X POST http://localhost:8000/api/v1/webhooks/generic \
  -H "Content-Type: application/json" \
  -d '{
    "title": "Test Incident",
    "description": "Testing webhook",
    "severity": "medium"
  }'

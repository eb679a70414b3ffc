curl -X POST http://localhost:8000/api/v1/webhooks/pagerduty \
  -H "Content-Type: application/json" \
  -d '{
  "messages": [
    {
      "event": "incident.triggered",
      "incident": {
        "id": "ABC123",
        "title": "High CPU usage",
        "description": "CPU at 95%",
        "urgency": "high",
        "html_url": "https://pagerduty.com/incidents/ABC123"
      }
    }
  ]
}'

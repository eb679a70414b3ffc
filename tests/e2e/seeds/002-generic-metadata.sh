curl -X POST http://localhost:8000/api/v1/webhooks/generic \
  -H "Content-Type: application/json" \
  -d '{
  "title": "Incident Title",
  "description": "Incident description",
  "severity": "high",
  "metadata": {
    "source": "custom-system",
    "custom_field": "value"
  }
}'

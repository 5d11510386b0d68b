"""What a run leaves behind: pictures, a video, a report; and how long it took."""
